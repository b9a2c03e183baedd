"""Runs the main functions of client packages that others wrote against a controller of its own."""

import asyncio
import contextlib
import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

MEMBER = "1122334455"


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def controller(program):
    """A controller in a home of its own; gives its address and token."""
    with tempfile.TemporaryDirectory() as folder:
        home, port = pathlib.Path(folder, "home"), free_port()
        command = [program, "--home", str(home), "--port", str(port)]
        # No test says hello to the public root servers.
        process = subprocess.Popen(
            command, env={**os.environ, "CTL_PLANET": "none"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            deadline = time.monotonic() + 60
            while not (home / "zerotier-one.port").exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the controller does not start: {process.stderr.read().decode()}")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}", (home / "authtoken.secret").read_text()
        finally:
            process.terminate()
            process.communicate(timeout=30)


def equal(found, expected):
    if found != expected:
        raise SystemExit(f"expected {expected!r}, got {found!r}")


async def ztctl(base, token):
    from ztctl import ZTCTL

    client = await ZTCTL.create(token, base)
    network = await client.query.create_network("of ztctl")
    equal(network["name"], "of ztctl")
    equal(await client.query.networks(), [network["id"]])
    of_network = client.query.network(network["id"])
    equal((await of_network.get())["id"], network["id"])
    member = of_network.member(MEMBER)
    equal((await member.authorize())["authorized"], True)
    equal((await member.get())["address"], MEMBER)
    equal(list(await of_network.members()), [MEMBER])
    equal((await member.deauthorize())["authorized"], False)
    await of_network.delete()
    equal(await client.query.networks(), [])
    return 9


def zapit(base, token):
    from zapit.models.user import TokenRequest
    from zapit.zapit import Central

    client = Central(token)
    client._requestor.base_url = f"{base}/api/v1"
    network = client.create_network()
    equal([found.id for found in client.list_networks()], [network.id])
    equal(client.get_network_by_id(network.id).config.private, True)
    changed = client.get_network_by_id(network.id)
    changed.config.name = "of zapit"
    changed.rulesSource = "accept;"
    equal(client.update_network_configuration(network.id, changed).config.name, "of zapit")
    equal(client.get_network_by_id(network.id).rulesSource, "accept;")
    user = client.get_account_status().user
    equal(client.get_user(user.id).id, user.id)
    secret = client.get_random_token().token
    equal(client.add_api_token(user.id, TokenRequest(tokenName="of-zapit", token=secret)).tokenName, "of-zapit")
    client._requestor.api_key = secret
    equal(client.get_account_status().user.tokens, ["of-zapit"])
    client._requestor.api_key = token
    client.delete_api_token(user.id, "of-zapit")
    equal(client.get_account_status().user.tokens, [])
    equal(client.get_current_organization().ownerId, user.id)
    equal([found.userId for found in client.get_organization_users(user.id)], [user.id])
    equal(client.get_organization_invitations(user.id), [])
    client.delete_network_member(network.id, MEMBER)
    client.delete_network(network.id)
    equal(client.list_networks(), [])
    return 14


def zerotier(base, token):
    from zerotier import Client

    client = Client(f"{base}/api/v1").api
    client.set_auth_header(f"bearer {token}")
    user = client.status.getStatus().json()["user"]
    equal(client.self.getAuthenticatedUser().json()["id"], user["id"])
    equal(client.user.getUser(user["id"]).json()["id"], user["id"])
    equal(len(client.user.listUsers().json()), 1)
    network = client.network.createNetwork({"config": {"name": "of zerotier"}}).json()["id"]
    equal([found["id"] for found in client.network.listNetworks().json()], [network])
    client.network.updateNetwork({"config": {"private": False}}, network)
    equal(client.network.getNetwork(network).json()["config"]["private"], False)
    client.network.updateMember({"name": "laptop", "config": {"authorized": True}}, MEMBER, network)
    equal([found["name"] for found in client.network.listMembers(network).json()], ["laptop"])
    equal(client.network.getMember(MEMBER, network).json()["config"]["authorized"], True)
    client.network.deleteMember(MEMBER, network)
    equal(client.network.listMembers(network).json(), [])
    client.network.deleteNetwork(network)
    equal(client.network.listNetworks().json(), [])
    return 12


def zerotier_api_cli(base, token):
    # Its settings file is one of the user's; none is read or written.
    os.environ["HOME"] = os.environ["XDG_CONFIG_HOME"] = "/nonexistent"
    import click.testing
    import requests
    from zerotier_api_cli import _api, _cli

    _api.ZT_API_BASE = f"{base}/api/v1"
    headers = {"Authorization": f"token {token}"}
    network = requests.post(f"{_api.ZT_API_BASE}/network", json={}, headers=headers, timeout=10).json()["id"]
    requests.post(f"{_api.ZT_API_BASE}/network/{network}/member/{MEMBER}", json={}, headers=headers, timeout=10)

    def run(*arguments):
        output = io.StringIO()
        _cli.console.file = output
        result = click.testing.CliRunner().invoke(_cli.cli, ["-t", token, "-n", network, *arguments])
        if result.exit_code != 0:
            raise SystemExit(f"zerotier-api-cli {arguments}: {result.output} {output.getvalue()} {result.exception}")
        return output.getvalue()

    if MEMBER not in run("list", "--pending"):
        raise SystemExit("the member is not pending")
    run("approve", MEMBER)
    if MEMBER in run("list", "--pending"):
        raise SystemExit("the member is still pending")
    equal(json.loads(run("list", "--json"))[0]["config"]["authorized"], True)
    if MEMBER not in run("list"):
        raise SystemExit("the member is not listed")
    run("remove", MEMBER)
    equal(json.loads(run("list", "--json")), [])
    return 5


def ztchooks(base, token):
    """The package of the hosted service for those who receive its hooks."""
    import datetime
    import http.server
    import queue
    import threading

    import requests
    from ztchooks.hook import verify_hook_signature

    got = queue.Queue()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.put((self.headers["X-ZTC-Signature"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    receiver = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()

    def send(method, path, body=None):
        answer = requests.request(method, base + path, json=body, headers={"X-ZT1-Auth": token}, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    hook = send("POST", "/api/v2/webhooks", {"url": f"http://127.0.0.1:{receiver.server_port}/"})
    key, tolerance = bytes.fromhex(hook["secret"]), datetime.timedelta(minutes=5)
    network = send("POST", "/api/v2/network", {"name": "of ztchooks ü"})["id"]
    send("PUT", f"/api/v2/network/{network}/member/{MEMBER}", {"authorized": True})
    send("PATCH", f"/api/v2/network/{network}/member/{MEMBER}", {"authorized": False})
    send("DELETE", f"/api/v2/network/{network}")
    types = []
    for _ in range(5):
        signature, body = got.get(timeout=30)
        equal(verify_hook_signature(key, signature, body, tolerance), True)
        equal(verify_hook_signature(bytes(32), signature, body, tolerance), False)
        equal(verify_hook_signature(key, signature, body + b" ", tolerance), False)
        told = json.loads(body)
        equal((told["hook_id"], told["network_id"]), (hook["id"], network))
        types.append(told["hook_type"])
    expected = ["NETWORK_CREATED", "MEMBER_CONFIG_CHANGED", "NETWORK_AUTH", "NETWORK_DEAUTH", "NETWORK_DELETED"]
    equal(sorted(types), sorted(expected))
    return 5


def main():
    from importlib.metadata import version

    clients = [
        ("ztctl", lambda *where: asyncio.run(ztctl(*where))),
        ("zapit", zapit),
        ("zerotier", zerotier),
        ("zerotier-api-cli", zerotier_api_cli),
        ("ztchooks", ztchooks),
    ]
    for name, run in clients:
        with controller(sys.argv[1]) as (base, token):
            print(f"{name} {version(name)}: {run(base, token)} functions work", flush=True)


main()
