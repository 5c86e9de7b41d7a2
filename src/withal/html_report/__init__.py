"""The parts that the HTML reports of the audit and of tracking share: page, style and script."""
