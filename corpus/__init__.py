"""Known cancellation bugs of real packages, which `withal audit` is to find again."""
