"""What tasks run under, seen and changed: a plain model for panels, magics and sidebars."""
