"""Names of the files and folders in the storage folder that a backup contains."""

DATABASE = "textbridge.db"  # SQLite
SETTINGS = "message_settings.json"
KEY = "app.key"
MEDIA = "media"
