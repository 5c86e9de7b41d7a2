"""The common parts of the HTML reports of the audit and of tracking: page, style and script."""
