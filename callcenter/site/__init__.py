"""The site file (`callcenter.toml`), and Asterisk's configuration made from it."""

from callcenter.site.credentials import Secrets, ensure_secrets, load_secrets
from callcenter.site.errors import ApplyRefused, SiteError, SiteErrors
from callcenter.site.load import load, parse
from callcenter.site.model import Site
from callcenter.site.plan import floor_plan, phone_endpoints
from callcenter.site.prepare import asterisk_command, prepare, site_in_force

__all__ = [
    "ApplyRefused",
    "Secrets",
    "Site",
    "SiteError",
    "SiteErrors",
    "asterisk_command",
    "ensure_secrets",
    "floor_plan",
    "load",
    "load_secrets",
    "parse",
    "phone_endpoints",
    "prepare",
    "site_in_force",
]
