# What `flask` serves when it is called in this folder; the settings themselves stand in .env.
FLASK_APP=wsgi
