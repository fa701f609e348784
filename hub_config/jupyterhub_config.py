"""What JupyterHub reads: the site file that SHOPFLOOR_SITE names, then jupyterhub_config.d/*.py beside it."""

import os
import sys

from shopfloor_hub.apply import apply
from shopfloor_hub.site import SiteError, load

c = get_config()  # noqa: F821

try:
    site = load(os.environ.get("SHOPFLOOR_SITE"))
    apply(c, site)
except SiteError as error:
    sys.exit(f"shopfloor: the hub does not start:\n{error}")

for extra in site.extras:
    load_subconfig(str(extra))  # noqa: F821
