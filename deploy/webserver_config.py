"""Who may log in to Airflow: the users that `init` makes, by password. Nobody without one, and nobody registers himself."""

from __future__ import annotations

from flask_appbuilder.const import AUTH_DB

AUTH_TYPE = AUTH_DB
AUTH_USER_REGISTRATION = False
WTF_CSRF_ENABLED = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True
AUTH_RATE_LIMITED = True
AUTH_RATE_LIMIT = "20 per 40 second"
