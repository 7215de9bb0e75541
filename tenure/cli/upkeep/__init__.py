"""Commands for the file itself: backups, a cut log, room."""
