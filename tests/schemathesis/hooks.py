"""What schemathesis has to know of a vault: how to log in, which answers end the session that asks, and what has to be
there before some operations can succeed."""

import os
from itertools import count

import requests
import schemathesis
from schemathesis import GenerationMode

ROOT = os.environ["COFFER_URL"] + "/api/v1"
EMAIL = os.environ["USER_EMAIL"]
PASSWORD = os.environ["USER_PASSWORD"]

# A session is bound to the program that it was made for: what is asked here is asked as schemathesis itself asks.
requester = requests.Session()
requester.headers["User-Agent"] = f"schemathesis/{schemathesis.__version__}"

# These may end the session that asks; so nothing has to be left out, only to be logged in again.
ENDS_SESSIONS = {"log_out", "revoke_session", "revoke_sessions"}

token = None
turns = count()
numbers = count()


def operation_of(case):
    return case.operation.definition.raw.get("operationId")


def log_in():
    body = {"email": EMAIL, "password": PASSWORD, "transport": "bearer"}
    response = requester.post(f"{ROOT}/session", json=body, timeout=20)
    response.raise_for_status()
    return response.json()["access_token"]


def ask(method, path, **arguments):
    headers = {"Authorization": f"Bearer {current_token()}"}
    response = requester.request(method, ROOT + path, headers=headers, timeout=20, **arguments)
    response.raise_for_status()
    return response.json() if response.content else None


def new_file():
    return ask("POST", "/folders/root/files", params={"name": f"file {next(numbers)}"}, data=b"old")


def current_token():
    global token
    if token is None:
        token = log_in()
    return token


# Nobody logs in again after a 401: that a living session is refused is a finding.
@schemathesis.auth(refresh_interval=None, retry_on=[])
class Session:
    def get(self, case, ctx):
        return current_token()

    def set(self, case, data, ctx):
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every second well-formed request of these gets what it needs to succeed, which no chance would find."""
    prepare = PREPARATIONS.get(operation_of(case))
    is_well_formed = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    if prepare is not None and is_well_formed and next(turns) % 2 == 0:
        prepare(case)


@schemathesis.hook
def after_call(context, case, response):
    global token
    if operation_of(case) in ENDS_SESSIONS and response.status_code == 204:
        token = None


def know_the_password(case):
    case.body = {**case.body, "email": EMAIL, "password": PASSWORD}


def have_another_session(case):
    sessions = f"{ROOT}/session"
    headers = {"Authorization": f"Bearer {log_in()}"}
    case.path_parameters = {"id": requester.get(sessions, headers=headers, timeout=20).json()["id"]}


def have_something_in_the_trash(case):
    folder = ask("POST", "/folders", json={"parent": "root", "name": f"thrown away {next(numbers)}"})
    ask("DELETE", f"/nodes/{folder['id']}")
    case.path_parameters = {"id": folder["id"]}


def have_a_folder(case):
    folder = ask("POST", "/folders", json={"parent": "root", "name": f"folder {next(numbers)}"})
    case.path_parameters = {"id": folder["id"]}
    case.headers.pop("If-Match", None)


def have_a_file(case):
    case.path_parameters = {"id": new_file()["id"]}
    case.query = {name: value for name, value in case.query.items() if name not in ("version", "cursor")}
    case.headers.pop("If-Match", None)


def have_an_old_version(case):
    file = new_file()
    ask("PUT", f"/files/{file['id']}/content", data=b"new")
    case.path_parameters = {"id": file["id"], "version": file["file"]["version"]}


PREPARATIONS = {
    "log_in": know_the_password,
    "revoke_session": have_another_session,
    "restore_node": have_something_in_the_trash,
    "delete_node": have_something_in_the_trash,
    "delete_version": have_an_old_version,
    "list_children": have_a_folder,
    "upload_file": have_a_folder,
    "update_node": have_a_folder,
    "trash_node": have_a_folder,
    "download_file": have_a_file,
    "inspect_file": have_a_file,
    "list_versions": have_a_file,
    "replace_content": have_a_file,
}
