"""Programs: a finding as a program without withal, which was run before it is given out."""
