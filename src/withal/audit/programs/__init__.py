"""Programs: a finding as a program without withal, which is run before it is printed."""
