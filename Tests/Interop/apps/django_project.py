"""A Django project that is nothing but an OAuth server with one client, and serves until it is ended.

Usage: django_project.py PORT CLIENT_ID SECRET
"""

import sys

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path
from wsgiref.simple_server import make_server

port, client_id, secret = sys.argv[1:]
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    OAUTH2_PROVIDER={"SCOPES": {"read": "Read", "write": "Write"}},
    ROOT_URLCONF=__name__,
    SECRET_KEY="interop",
    USE_TZ=True,
)
django.setup()
urlpatterns = [path("o/", include("oauth2_provider.urls"))]

call_command("migrate", verbosity=0)
options = {"client_id": client_id, "client_secret": secret, "name": "token-broker"}
call_command("createapplication", "confidential", "client-credentials", **options)
make_server("127.0.0.1", int(port), get_wsgi_application()).serve_forever()
