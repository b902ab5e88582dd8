"""What schemathesis cannot know: how lines are written, and ids that stand for something."""

import json
import os

import schemathesis

CAMPAIGN = os.environ["HIGHWATER_CAMPAIGN"]
sent = 0


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    items = value if isinstance(value, list) else [value]
    return "".join(json.dumps(item) + "\n" for item in items).encode("utf-8", errors="replace")


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Every other request is about what is there."""
    global sent
    sent += 1
    if path_parameters and sent % 2:
        if "id" in path_parameters:
            path_parameters["id"] = CAMPAIGN
        if "name" in path_parameters:
            path_parameters["name"] = "google_ads"
    return path_parameters
