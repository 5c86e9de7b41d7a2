"""What the HTML reports of the audit and of tracking share: the page, its style, its script."""
