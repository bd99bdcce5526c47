"""The site file (`callcenter.toml`), and Asterisk's configuration made from it."""

from callcenter.site.errors import ApplyRefused, SiteError, SiteErrors
from callcenter.site.load import load, parse
from callcenter.site.model import Site
from callcenter.site.plan import floor_plan, phone_endpoints

__all__ = [
    "ApplyRefused",
    "Site",
    "SiteError",
    "SiteErrors",
    "floor_plan",
    "load",
    "parse",
    "phone_endpoints",
]
