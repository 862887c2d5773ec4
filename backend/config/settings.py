"""The backend's settings, read from the environment once, in the order of .env.example; nothing else reads it."""

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict

from backend.config.embedded import embedded_database_url

ROOT = Path(__file__).resolve().parents[2]

env = environ.Env()
environ.Env.read_env(ROOT / ".env")

# --- Deployment
PRODUCTION: bool = env.bool("PRODUCTION", default=False)
DEBUG: bool = env.bool("DEBUG", default=False)
SITE_URL: str = env.str("SITE_URL", default="http://127.0.0.1:8000")
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
CORS_ALLOWED_ORIGINS: list[str] = env.list("CORS_ALLOWED_ORIGINS", default=[])
TRUSTED_PROXIES: int = env.int("TRUSTED_PROXIES", default=0)
LOG_LEVEL: str = env.str("LOG_LEVEL", default="INFO")
METRICS_TOKEN: str = env.str("METRICS_TOKEN", default="")
DATA_DIR = Path(env.str("DATA_DIR", default=str(ROOT / ".data")))

# --- Secrets
_INSECURE = "insecure-development-key-never-used-in-production"
SECRET_KEY: str = env.str("SECRET_KEY", default="") or _INSECURE
JWT_SIGNING_KEY: str = env.str("JWT_SIGNING_KEY", default="") or _INSECURE
SERVICE_KEY: str = env.str("SERVICE_KEY", default="") or _INSECURE
if PRODUCTION:
    for _name in ("SECRET_KEY", "JWT_SIGNING_KEY", "SERVICE_KEY"):
        if globals()[_name] == _INSECURE or len(globals()[_name]) < 32:
            raise ImproperlyConfigured(f"{_name} must be set to a secret of at least 32 characters in production")

SEALING_KEYS: list[str] = env.list("SEALING_KEYS", default=[]) or [SECRET_KEY]

# --- Database
DATABASE_POOL_SIZE: int = env.int("DATABASE_POOL_SIZE", default=16)
DATABASE_POOL_TIMEOUT: float = env.float("DATABASE_POOL_TIMEOUT", default=5.0)
DATABASE_PREPARED: bool = env.bool("DATABASE_PREPARED", default=True)
_dsn: dict[str, Any] = conninfo_to_dict(env.str("DATABASE_URL", default="") or embedded_database_url(DATA_DIR))
DATABASES = {
    "default": {
        "ENGINE": "backend.core.postgresql",
        "NAME": _dsn.pop("dbname", ""),
        "USER": _dsn.pop("user", ""),
        "PASSWORD": _dsn.pop("password", ""),
        "HOST": _dsn.pop("host", ""),
        "PORT": _dsn.pop("port", ""),
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            "connect_timeout": 5,
            **_dsn,
            # None prepares nothing at all; of so many calls no statement is prepared that does not ask for it.
            "prepare_threshold": 1_000_000_000 if DATABASE_PREPARED else None,
            "pool": {"min_size": 1, "max_size": DATABASE_POOL_SIZE, "timeout": DATABASE_POOL_TIMEOUT, "max_idle": 60},
        },
    }
}

# --- Requests
IDEMPOTENCY_LIFETIME: timedelta = timedelta(days=env.int("IDEMPOTENCY_DAYS", default=7))

# --- Users
ACCESS_TOKEN_LIFETIME: timedelta = timedelta(seconds=env.int("ACCESS_TOKEN_SECONDS", default=15 * 60))
REFRESH_TOKEN_LIFETIME: timedelta = timedelta(days=env.int("REFRESH_TOKEN_DAYS", default=30))
REFRESH_GRACE: timedelta = timedelta(seconds=env.int("REFRESH_GRACE_SECONDS", default=10))
EMAIL_LINK_LIFETIME: timedelta = timedelta(hours=env.int("EMAIL_LINK_HOURS", default=24))
REQUIRE_VERIFIED_EMAIL: bool = env.bool("REQUIRE_VERIFIED_EMAIL", default=False)
LOGIN_LIMIT_PER_ACCOUNT_MINUTE: int = env.int("LOGIN_LIMIT_PER_ACCOUNT_MINUTE", default=5)
LOGIN_LIMIT_PER_ADDRESS_MINUTE: int = env.int("LOGIN_LIMIT_PER_ADDRESS_MINUTE", default=30)
REGISTER_LIMIT_PER_ADDRESS_HOUR: int = env.int("REGISTER_LIMIT_PER_ADDRESS_HOUR", default=5)
API_KEYS_LIMIT: int = env.int("API_KEYS_LIMIT", default=20)
RESET_LIMIT_PER_ACCOUNT_HOUR: int = env.int("RESET_LIMIT_PER_ACCOUNT_HOUR", default=3)

# --- E-mail
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", default="chatsphere@localhost")

# --- Credits
SIGNUP_GRANT: int = env.int("SIGNUP_GRANT", default=50)
TOPUP_LIMIT: int = env.int("TOPUP_LIMIT", default=1_000_000)
PRICE_CACHE_SECONDS: float = env.float("PRICE_CACHE_SECONDS", default=5.0)
LOW_BALANCE: int = env.int("LOW_BALANCE", default=10)

# --- Webhooks
WEBHOOK_ENDPOINTS_LIMIT: int = env.int("WEBHOOK_ENDPOINTS_LIMIT", default=10)
WEBHOOK_ACTIONS_PER_MINUTE: int = env.int("WEBHOOK_ACTIONS_PER_MINUTE", default=30)
WEBHOOK_SECONDS: float = env.float("WEBHOOK_SECONDS", default=10.0)
WEBHOOK_CONCURRENCY: int = env.int("WEBHOOK_CONCURRENCY", default=8)
WEBHOOK_RETRY_SECONDS: list[int] = env.list(
    "WEBHOOK_RETRY_SECONDS", cast=int, default=[10, 60, 300, 1800, 10800, 64800]
)
WEBHOOK_FAILING_DAYS: int = env.int("WEBHOOK_FAILING_DAYS", default=3)
WEBHOOK_KEEP_DAYS: int = env.int("WEBHOOK_KEEP_DAYS", default=30)

# --- Documents
STORAGE_DIR = Path(env.str("STORAGE_DIR", default=str(DATA_DIR / "files")))
S3_BUCKET: str = env.str("S3_BUCKET", default="")
S3_ENDPOINT: str = env.str("S3_ENDPOINT", default="")
S3_REGION: str = env.str("S3_REGION", default="")
S3_PREFIX: str = env.str("S3_PREFIX", default="")
S3_ACCESS_KEY: str = env.str("S3_ACCESS_KEY", default="")
S3_SECRET_KEY: str = env.str("S3_SECRET_KEY", default="")
UPLOAD_LIMIT_BYTES: int = env.int("UPLOAD_LIMIT_BYTES", default=20 * 1024 * 1024)
UPLOAD_REQUEST_LIMIT_BYTES: int = env.int("UPLOAD_REQUEST_LIMIT_BYTES", default=100 * 1024 * 1024)
UPLOAD_LIMIT_FILES: int = env.int("UPLOAD_LIMIT_FILES", default=100)
UPLOAD_LIMIT_PER_HOUR: int = env.int("UPLOAD_LIMIT_PER_HOUR", default=600)
PAGES_LIMIT: int = env.int("PAGES_LIMIT", default=2_000)
TEXT_LIMIT_CHARS: int = env.int("TEXT_LIMIT_CHARS", default=10_000_000)
PARSER_SECONDS: int = env.int("PARSER_SECONDS", default=60)
PARSER_MEMORY_BYTES: int = env.int("PARSER_MEMORY_BYTES", default=1024 * 1024 * 1024)
PARSER_TRIES: int = env.int("PARSER_TRIES", default=2)
OCR_LANGUAGES: str = env.str("OCR_LANGUAGES", default="")
INGEST_TRIES: int = env.int("INGEST_TRIES", default=5)
INGEST_LEASE: timedelta = timedelta(seconds=env.float("INGEST_LEASE_SECONDS", default=30))
INGEST_HEARTBEAT: timedelta = timedelta(seconds=env.float("INGEST_HEARTBEAT_SECONDS", default=5))
INGEST_RETRY_DELAY: timedelta = timedelta(seconds=env.float("INGEST_RETRY_DELAY_SECONDS", default=5))
SWEEP_SECONDS: int = env.int("SWEEP_SECONDS", default=10)
EMBED_BATCH: int = env.int("EMBED_BATCH", default=100)
WORKER_CONCURRENCY: int = env.int("WORKER_CONCURRENCY", default=3)
SYNC_CONCURRENCY: int = env.int("SYNC_CONCURRENCY", default=2)

# --- Sources
SOURCES_LIMIT: int = env.int("SOURCES_LIMIT", default=50)
SOURCE_ITEMS_LIMIT: int = env.int("SOURCE_ITEMS_LIMIT", default=2_000)
SOURCE_MINUTES_MIN: int = env.int("SOURCE_MINUTES_MIN", default=15)
SOURCE_TURN_SECONDS: float = env.float("SOURCE_TURN_SECONDS", default=20.0)
SOURCE_LIMIT_PER_HOUR: int = env.int("SOURCE_LIMIT_PER_HOUR", default=60)
WEB_PAGES_LIMIT: int = env.int("WEB_PAGES_LIMIT", default=500)
WEB_DELAY_SECONDS: float = env.float("WEB_DELAY_SECONDS", default=1.0)

# --- Fetching
FETCH_ALLOWED_NETWORKS: list[str] = env.list("FETCH_ALLOWED_NETWORKS", default=[])
FETCH_PORTS: list[int] = [int(port) for port in env.list("FETCH_PORTS", default=[80, 443, 8080, 8443])]
FETCH_LIMIT_BYTES: int = env.int("FETCH_LIMIT_BYTES", default=10 * 1024 * 1024)
FETCH_REDIRECTS: int = env.int("FETCH_REDIRECTS", default=3)
FETCH_CONNECT_SECONDS: float = env.float("FETCH_CONNECT_SECONDS", default=5.0)
FETCH_FIRST_BYTE_SECONDS: float = env.float("FETCH_FIRST_BYTE_SECONDS", default=10.0)
FETCH_IDLE_SECONDS: float = env.float("FETCH_IDLE_SECONDS", default=5.0)
FETCH_TOTAL_SECONDS: float = env.float("FETCH_TOTAL_SECONDS", default=20.0)

# --- Telegram
TELEGRAM_API_ID: int = env.int("TELEGRAM_API_ID", default=0)
TELEGRAM_API_HASH: str = env.str("TELEGRAM_API_HASH", default="")
TELEGRAM_DEVICE_MODEL: str = env.str("TELEGRAM_DEVICE_MODEL", default="ChatSphere")
TELEGRAM_SYSTEM_VERSION: str = env.str("TELEGRAM_SYSTEM_VERSION", default="Linux")
TELEGRAM_APP_VERSION: str = env.str("TELEGRAM_APP_VERSION", default="1.0")
TELEGRAM_LANG_CODE: str = env.str("TELEGRAM_LANG_CODE", default="en")
TELEGRAM_SYSTEM_LANG_CODE: str = env.str("TELEGRAM_SYSTEM_LANG_CODE", default="en")
TELEGRAM_POSTS_PER_RUN: int = env.int("TELEGRAM_POSTS_PER_RUN", default=5_000)
TELEGRAM_RECHECK_POSTS: int = env.int("TELEGRAM_RECHECK_POSTS", default=200)
TELEGRAM_PAGE_PAUSE_SECONDS: float = env.float("TELEGRAM_PAGE_PAUSE_SECONDS", default=1.0)
TELEGRAM_REQUEST_SECONDS: float = env.float("TELEGRAM_REQUEST_SECONDS", default=30.0)
TELEGRAM_FLOOD_SLEEP_SECONDS: int = env.int("TELEGRAM_FLOOD_SLEEP_SECONDS", default=3)
TELEGRAM_PREVIEW_URL: str = env.str("TELEGRAM_PREVIEW_URL", default="https://t.me")
TELEGRAM_DC_ID: int = env.int("TELEGRAM_DC_ID", default=2)
TELEGRAM_DC_HOST: str = env.str("TELEGRAM_DC_HOST", default="")
TELEGRAM_DC_PORT: int = env.int("TELEGRAM_DC_PORT", default=443)
TELEGRAM_RSA_PUBLIC_KEY: str = env.str("TELEGRAM_RSA_PUBLIC_KEY", default="", multiline=True)
# A key of somebody else's is trusted by the whole process: only a data centre on this machine may have one.
if TELEGRAM_DC_HOST and not ip_address(TELEGRAM_DC_HOST).is_loopback:
    raise ImproperlyConfigured("TELEGRAM_DC_HOST is for tests: it must be a loopback address, such as 127.0.0.1")

# --- Questions and answers
QUESTIONS_LIMIT: int = env.int("QUESTIONS_LIMIT", default=500)

# --- Conversations
CHAT_LIMIT_PER_MINUTE: int = env.int("CHAT_LIMIT_PER_MINUTE", default=20)
MESSAGE_LIMIT_CHARS: int = env.int("MESSAGE_LIMIT_CHARS", default=8_000)
HISTORY_BUDGET_TOKENS: int = env.int("HISTORY_BUDGET_TOKENS", default=2_000)
ANSWER_LIMIT_TOKENS: int = env.int("ANSWER_LIMIT_TOKENS", default=1_024)
RETRIEVAL_GATE: float = env.float("RETRIEVAL_GATE", default=0.29)  # see docs/decisions/0006
SEARCH_PUBLIC_SECONDS: float = env.float("SEARCH_PUBLIC_SECONDS", default=5.0)
TURN_LEASE: timedelta = timedelta(seconds=env.float("TURN_LEASE_SECONDS", default=20))
TURN_HEARTBEAT: timedelta = timedelta(seconds=env.float("TURN_HEARTBEAT_SECONDS", default=2))
TURN_ABANDON_GRACE: timedelta = timedelta(seconds=env.float("TURN_ABANDON_GRACE_SECONDS", default=3))
STREAM_HEARTBEAT: timedelta = timedelta(seconds=env.float("STREAM_HEARTBEAT_SECONDS", default=10))
STREAM_READER: timedelta = timedelta(seconds=env.float("STREAM_READER_SECONDS", default=30))
SHUTDOWN_GRACE: timedelta = timedelta(seconds=env.float("SHUTDOWN_GRACE_SECONDS", default=20))

# --- Sharing
SHARES_LIMIT: int = env.int("SHARES_LIMIT", default=20)
SHARED_LIMIT_PER_MINUTE: int = env.int("SHARED_LIMIT_PER_MINUTE", default=60)

# --- Agent
AGENT_URL: str = env.str("AGENT_URL", default="http://127.0.0.1:8001")
AGENT_TOKEN_LIFETIME: timedelta = timedelta(seconds=env.int("AGENT_TOKEN_SECONDS", default=30))
AGENT_CONNECT_SECONDS: float = env.float("AGENT_CONNECT_SECONDS", default=2.0)
AGENT_FIRST_BYTE_SECONDS: float = env.float("AGENT_FIRST_BYTE_SECONDS", default=25.0)
AGENT_IDLE_SECONDS: float = env.float("AGENT_IDLE_SECONDS", default=20.0)
AGENT_CHAT_SECONDS: float = env.float("AGENT_CHAT_SECONDS", default=115.0)
AGENT_CALL_SECONDS: float = env.float("AGENT_CALL_SECONDS", default=15.0)
AGENT_INGEST_SECONDS: float = env.float("AGENT_INGEST_SECONDS", default=90.0)
AGENT_BREAKER_FAILURES: int = env.int("AGENT_BREAKER_FAILURES", default=5)
AGENT_BREAKER_SECONDS: float = env.float("AGENT_BREAKER_SECONDS", default=5.0)

# --- Django
INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "corsheaders",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "procrastinate.contrib.django",
    "backend.core",
    "backend.users",
    "backend.webhooks",
    "backend.credits",
    "backend.bots",
    "backend.documents",
    "backend.sources",
    "backend.curated",
    "backend.tools",
    "backend.conversations",
    "backend.feedback",
    "backend.sharing",
    "backend.gateway",
    "backend.openai_api",
    "backend.mcp_server",
    "backend.telegram",
]
MIDDLEWARE = [
    "backend.core.request_id.request_id_middleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "backend.core.query_guard.query_guard_middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "backend.config.slashes.SlashMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "backend.config.urls"
ASGI_APPLICATION = "backend.config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "backend" / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = ["backend.users.backends.BrowserLoginBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
LOGIN_URL = "/api/browse/login/"
LOGIN_REDIRECT_URL = "/api/v1/"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
STATICFILES_DIRS = [ROOT / "backend" / "config" / "static"]
# Only in production are the files collected and hashed; elsewhere they are found where they lie.
STATIC_ROOT = DATA_DIR / "static" if PRODUCTION else None
WHITENOISE_USE_FINDERS = not PRODUCTION
WHITENOISE_AUTOREFRESH = False
_FOLDER = {
    "BACKEND": "django.core.files.storage.FileSystemStorage",
    "OPTIONS": {"location": STORAGE_DIR, "base_url": None},
}
_BUCKET = {
    "BACKEND": "backend.documents.object_storage.ObjectStorage",
    "OPTIONS": {
        "bucket_name": S3_BUCKET,
        "endpoint_url": S3_ENDPOINT or None,
        "region_name": S3_REGION or None,
        "location": S3_PREFIX,
        "access_key": S3_ACCESS_KEY or None,
        "secret_key": S3_SECRET_KEY or None,
    },
}
STORAGES: dict[str, Any] = {
    "default": _BUCKET if S3_BUCKET else _FOLDER,
    "staticfiles": {
        "BACKEND": (
            "whitenoise.storage.CompressedManifestStaticFilesStorage"
            if PRODUCTION
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}
DATA_UPLOAD_MAX_NUMBER_FILES = UPLOAD_LIMIT_FILES
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024  # a question's images; elsewhere core.parsers has less
FILE_UPLOAD_HANDLERS = ["backend.core.uploads.DiskUploadHandler"]
CORS_URLS_REGEX = r"^/(api|v1|mcp)/"
CORS_ALLOW_HEADERS = [
    "accept",
    "authorization",
    "content-type",
    "api-key",
    "idempotency-key",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "x-api-key",
    "x-request-id",
]
CORS_EXPOSE_HEADERS = ["idempotency-replayed", "location", "mcp-session-id", "retry-after", "x-request-id"]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_SECURE = PRODUCTION
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
X_FRAME_OPTIONS = "DENY"

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "backend.users.authentication.CredentialAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["backend.core.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "backend.core.browsing.BrowsablePages",
    ],
    "DEFAULT_PAGINATION_CLASS": "backend.core.pagination.NewestFirst",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "backend.core.openapi.DescribedSchema",
    "EXCEPTION_HANDLER": "backend.core.api.exception_handler",
    "UNICODE_JSON": True,
    "STRICT_JSON": True,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "ChatSphere API",
    "VERSION": "1",
    "DESCRIPTION": "Chatbots over your own documents, with citations that can be checked and credits that add up.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "AnswerStateEnum": "backend.conversations.models.AnswerState",
        "AgentKindEnum": "backend.bots.serializers.AGENT_KINDS",
        "ToolKindEnum": "backend.tools.models.ToolKind",
        "ProviderStateEnum": "backend.gateway.serializers.STATES",
        "SpeakerEnum": "backend.gateway.serializers.SPEAKERS",
        "ChatRoleEnum": "backend.openai_api.serializers.ROLES",
    },
}
UNFOLD = {"SITE_TITLE": "ChatSphere", "SITE_HEADER": "ChatSphere", "SITE_SYMBOL": "forum", "SHOW_HISTORY": True}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "backend.core.request_id.RequestIdFilter"}},
    "formatters": {"line": {"format": "%(levelname)-7s %(name)s [%(request_id)s] %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR"},  # a 4xx is the client's affair
        "boto3": {"level": "WARNING"},
        "botocore": {"level": "WARNING"},  # at DEBUG it writes signed headers
        "httpx": {"level": "WARNING"},
        "procrastinate": {"level": "WARNING"},
        "telethon": {"level": "WARNING"},  # below that it tells what it sends
        "uvicorn.access": {"level": "WARNING"},
    },
}
