#!/usr/bin/env python3
"""Drive a real ZeroTier client (the PyPI package `libzt` 1.8.4) from a test.

  ztclient.py fetch DIR                     pip-download the pinned wheel and unpack it into DIR
  ztclient.py run [options]                 one real ZeroTier node: JSON lines on stdout,
                                            JSON commands on stdin (end of input stops it)
  ztclient.py pair [options]                two nodes on one network exchange TCP data; exit 0 if it worked
  ztclient.py netns [-a IP]... -- CMD ...   run CMD (say, the whole test suite) in a private
                                            network namespace with one device and these addresses

The node runs in user space: no root, no tun device, no installation.
Needs CPython 3.9 or later on x86-64 Linux (glibc) and a C compiler called `cc`.
Comments say which facts are behind a step.
"""
import argparse
import ctypes
import faulthandler
import fcntl
import glob
import hashlib
import json
import os
import queue
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

VERSION = "1.8.4"
WHEEL = "libzt-1.8.4-cp39-cp39-manylinux2010_x86_64.whl"
SHA256 = "e66e1482940118ae172d7356d2c5d2d5c561831c94d595a850704f9923054756"

STATUS = {0: "REQUESTING_CONFIGURATION", 1: "OK", 2: "ACCESS_DENIED",
          3: "NOT_FOUND", 4: "PORT_ERROR", 5: "CLIENT_TOO_OLD"}
EVENT = {270: "STORE_IDENTITY_SECRET", 271: "STORE_IDENTITY_PUBLIC", 272: "STORE_PLANET", 273: "STORE_PEER",
         274: "STORE_NETWORK", 200: "NODE_UP", 201: "NODE_ONLINE", 202: "NODE_OFFLINE", 203: "NODE_DOWN", 204: "NODE_FATAL_ERROR",
         210: "NETWORK_NOT_FOUND", 211: "NETWORK_CLIENT_TOO_OLD", 212: "NETWORK_REQ_CONFIG", 213: "NETWORK_OK",
         214: "NETWORK_ACCESS_DENIED", 215: "NETWORK_READY_IP4", 216: "NETWORK_READY_IP6", 218: "NETWORK_DOWN",
         219: "NETWORK_UPDATE", 220: "STACK_UP", 221: "STACK_DOWN", 230: "NETIF_UP", 231: "NETIF_DOWN",
         232: "NETIF_REMOVED", 233: "NETIF_LINK_UP", 234: "NETIF_LINK_DOWN", 240: "PEER_DIRECT", 241: "PEER_RELAY",
         242: "PEER_UNREACHABLE", 243: "PEER_PATH_DISCOVERED", 244: "PEER_PATH_DEAD", 250: "ROUTE_ADDED",
         251: "ROUTE_REMOVED", 260: "ADDR_ADDED_IP4", 261: "ADDR_REMOVED_IP4", 262: "ADDR_ADDED_IP6",
         263: "ADDR_REMOVED_IP6"}
AF_INET, AF_INET6, SOCK_STREAM = 2, 10, 1

# The wheel's shared object names three C++ functions that it does not contain
# (kernel route handling, never called by a user-space node): give it empty ones.
STUBS = r"""
void _ZN8ZeroTier12LinuxNetLinkC1Ev(void *s) { (void)s; }
void _ZN8ZeroTier12LinuxNetLinkD1Ev(void *s) { (void)s; }
void _ZN8ZeroTier12LinuxNetLink8delRouteERKNS_11InetAddressES3_S3_PKc(void *s) { (void)s; }
"""


def out(**kw):
    line = json.dumps(kw) + "\n"
    with OUT:
        sys.stdout.write(line)
        sys.stdout.flush()


OUT = threading.Lock()


# ---- fetching and loading ----------------------------------------------------
def fetch(folder):
    """Download the pinned wheel by name, check its hash, unpack it."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, WHEEL)
    if not os.path.exists(path):
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--disable-pip-version-check",
                        "--only-binary=:all:", "--python-version", "3.9", "--implementation", "cp", "--abi", "cp39",
                        "--platform", "manylinux2010_x86_64", "-d", folder, f"libzt=={VERSION}"],
                       check=True, stdout=sys.stderr)
    with open(path, "rb") as f:
        if hashlib.sha256(f.read()).hexdigest() != SHA256:
            raise SystemExit(f"{path}: not the pinned file")
    with zipfile.ZipFile(path) as z:
        z.extractall(folder)
    return folder


def load(folder):
    """Load the shared object out of the unpacked wheel without importing it as a Python module."""
    found = glob.glob(os.path.join(folder, "libzt", "_libzt*.so"))
    if not found:
        raise SystemExit(f"no unpacked libzt wheel in {folder}")
    stubs = os.path.join(folder, "stubs.so")
    if not os.path.exists(stubs):
        tmp = f"{stubs}.{os.getpid()}"
        with tempfile.NamedTemporaryFile("w", suffix=".c") as f:
            f.write(STUBS)
            f.flush()
            subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", tmp, f.name], check=True)
        os.replace(tmp, stubs)
    # ctypes.CDLL always adds RTLD_NOW, and some of the Python functions the file
    # refers to are gone since Python 3.11, so it must be bound lazily by hand.
    dl = ctypes.CDLL(None)
    dl.dlopen.restype, dl.dlopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
    dl.dlerror.restype = ctypes.c_char_p
    lazy, now, everywhere = 1, 2, 0x100
    if not dl.dlopen(stubs.encode(), now | everywhere):
        raise SystemExit(dl.dlerror().decode())
    handle = dl.dlopen(found[0].encode(), lazy)
    if not handle:
        raise SystemExit(dl.dlerror().decode())
    z = ctypes.CDLL(found[0], handle=handle)
    u64, buf, uint = ctypes.c_uint64, ctypes.c_char_p, ctypes.c_uint
    for name in ("zts_net_join", "zts_net_leave", "zts_net_get_status", "zts_net_transport_is_ready",
                 "zts_net_get_mtu", "zts_net_get_broadcast", "zts_net_get_type",
                 "zts_core_query_addr_count", "zts_core_query_route_count"):
        getattr(z, name).argtypes = [u64]
    z.zts_net_get_name.argtypes = [u64, buf, uint]
    z.zts_net_get_mac.argtypes, z.zts_net_get_mac.restype = [u64], u64
    z.zts_node_get_id.restype = u64
    z.zts_moon_orbit.argtypes = z.zts_moon_deorbit.argtypes = [u64, u64]
    z.zts_core_query_addr.argtypes = [u64, uint, buf, uint]
    z.zts_core_query_route.argtypes = [u64, uint, buf, buf, uint, ctypes.c_void_p, ctypes.c_void_p]
    z.zts_init_set_roots.argtypes = [buf, uint]
    z.zts_init_from_storage.argtypes = [buf]
    z.zts_init_from_memory.argtypes = [buf, uint]
    z.zts_init_set_port.argtypes = [ctypes.c_ushort]
    z.zts_init_set_event_handler.argtypes = [ctypes.c_void_p]
    z.ZT_Node_networkConfig.restype, z.ZT_Node_networkConfig.argtypes = ctypes.c_void_p, [ctypes.c_void_p, u64]
    z.ZT_Node_freeQueryResult.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    for name in ("zts_send", "zts_recv"):
        f = getattr(z, name)
        f.restype, f.argtypes = ctypes.c_ssize_t, [ctypes.c_int, buf, ctypes.c_size_t, ctypes.c_int]
    z.zts_bind.argtypes = [ctypes.c_int, buf, ctypes.c_ushort]
    z.zts_connect.argtypes = [ctypes.c_int, buf, ctypes.c_ushort, ctypes.c_int]
    z.zts_accept.argtypes = [ctypes.c_int, buf, ctypes.c_int, ctypes.POINTER(ctypes.c_ushort)]
    return z


# ---- one node ----------------------------------------------------------------
class Node:
    def __init__(self, z, on_event):
        self.z, self.on_event, self._core = z, on_event, None

    def hook_events(self):
        """This build of the library delivers events to a C++ object with one
        virtual function, so hand it a hand-made object: pointer to a table
        whose first entry is our function (the other two are destructors)."""
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
        noop = kind(lambda a, b: None)

        def call(_self, msg):
            code = ctypes.cast(msg, ctypes.POINTER(ctypes.c_int16))[0]
            ptr = ctypes.cast(msg, ctypes.POINTER(ctypes.c_uint64))  # pointers follow the code, 8-octet aligned
            ident = None
            for slot, low, high in ((1, 200, 204), (2, 210, 219), (3, 230, 234), (5, 240, 244), (6, 260, 263)):
                if low <= code <= high and ptr[slot]:
                    ident = ctypes.cast(ptr[slot], ctypes.POINTER(ctypes.c_uint64))[0]
            self.on_event(code, ident)
        self._keep = [kind(call), noop]
        self._table = (ctypes.c_void_p * 3)(*[ctypes.cast(f, ctypes.c_void_p).value for f in
                                              (self._keep[0], noop, noop)])
        self._object = ctypes.c_void_p(ctypes.addressof(self._table))
        self.z.zts_init_set_event_handler(ctypes.addressof(self._object))

    def start(self, home, planet, port, identity=None):
        z = self.z
        if home:
            os.makedirs(home, exist_ok=True)
            check(z.zts_init_from_storage(home.encode()), "init_from_storage")
        if identity:
            check(z.zts_init_from_memory(identity.encode(), len(identity)), "init_from_memory")
        if planet:
            with open(planet, "rb") as f:
                data = f.read()
            check(z.zts_init_set_roots(data, len(data)), "init_set_roots")
        if port:
            check(z.zts_init_set_port(port), "init_set_port")
        z.zts_init_allow_secondary_port(0)
        z.zts_init_allow_port_mapping(0)
        self.hook_events()
        check(z.zts_node_start(), "node_start")
        # The library starts its event thread a moment before it sets the flag
        # that keeps that thread alive, so the thread often ends at once: run
        # its loop (an exported function) here as well.
        z.cbRun.restype, z.cbRun.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        threading.Thread(target=lambda: z.cbRun(None), daemon=True).start()
        # Until the node has its identity, joining a network or orbiting a moon is a null pointer access. Before
        # that the library says 0, and at first an error, which is negative.
        t0 = time.monotonic()
        while not 0 < z.zts_node_get_id() < 1 << 40:
            if time.monotonic() - t0 > 60:
                raise SystemExit("libzt: the node did not start (port in use?)")
            time.sleep(0.01)

    def id(self):
        return f"{self.z.zts_node_get_id():010x}"

    def online(self):
        return bool(self.z.zts_node_is_online())

    def core(self):
        """The node inside the library's service, as its `ZT_Node_...` functions take it: what
        a member of the service points to that begins with the table of virtual functions of
        that class.  Memory is read through the file, which has no faults, only errors."""
        if self._core is None:
            table = ctypes.addressof(ctypes.c_char.in_dll(self.z, "_ZTVN8ZeroTier4NodeE")) + 16
            service = ctypes.c_void_p.in_dll(self.z, "_ZN8ZeroTier11zts_serviceE").value
            with open("/proc/self/mem", "rb", 0) as memory:
                def word(at):
                    try:
                        memory.seek(at)
                        return struct.unpack("Q", memory.read(8))[0]
                    except (OSError, OverflowError, ValueError, struct.error):
                        return None
                members = filter(None, (word(service + at) for at in range(0, 4096, 8)))
                self._core = next((m for m in members if word(m) == table), None)
            if self._core is None:
                raise SystemExit("libzt: no node in the service")
        return self._core

    def status(self, n):
        """The state of a network as the node has it.  `zts_net_get_status` only says what was
        so when a configuration last came, and so never ACCESS_DENIED or NOT_FOUND."""
        z = self.z
        config = z.ZT_Node_networkConfig(self.core(), n)
        if not config:
            return z.zts_net_get_status(n)
        # network id: 8 octets, MAC: 8, name: 128, status
        code = ctypes.cast(config + 144, ctypes.POINTER(ctypes.c_int))[0]
        z.ZT_Node_freeQueryResult(self.core(), config)
        return code

    def network(self, nwid):
        z, n = self.z, int(nwid, 16)
        code = self.status(n)
        d = {"network": nwid, "status": STATUS.get(code, f"error {code}"), "addresses": [], "routes": []}
        a, b = ctypes.create_string_buffer(128), ctypes.create_string_buffer(128)
        if z.zts_net_get_name(n, ctypes.cast(a, ctypes.c_char_p), 127) == 0:  # no other length is taken
            d["name"] = a.value.decode("utf8", "replace")
        d["mtu"], d["broadcast"] = z.zts_net_get_mtu(n), z.zts_net_get_broadcast(n)
        d["mac"] = f"{z.zts_net_get_mac(n):012x}"
        z.zts_core_lock_obtain()
        try:
            for i in range(max(0, z.zts_core_query_addr_count(n))):
                if z.zts_core_query_addr(n, i, ctypes.cast(a, ctypes.c_char_p), 46) == 0:
                    d["addresses"].append(a.value.decode())
            for i in range(max(0, z.zts_core_query_route_count(n))):
                flags, metric = ctypes.c_uint16(), ctypes.c_uint16()
                if z.zts_core_query_route(n, i, ctypes.cast(a, ctypes.c_char_p), ctypes.cast(b, ctypes.c_char_p),
                                          46, ctypes.byref(flags), ctypes.byref(metric)) == 0:
                    d["routes"].append({"target": a.value.decode(), "via": b.value.decode()})
        finally:
            z.zts_core_lock_release()
        d["ready"] = z.zts_net_transport_is_ready(n) == 1
        return d

    # TCP over the virtual network, on the library's own IP stack
    def listen(self, port, family=AF_INET):
        z = self.z
        s = z.zts_socket(family, SOCK_STREAM, 0)
        check(s, "socket")
        check(z.zts_bind(s, b"0.0.0.0" if family == AF_INET else b"::", port), "bind")
        check(z.zts_listen(s, 4), "listen")
        return s

    def echo_once(self, s):
        """Accept one connection, return what it sends to it, until it ends."""
        z = self.z
        who, port = ctypes.create_string_buffer(46), ctypes.c_ushort()
        c = z.zts_accept(s, ctypes.cast(who, ctypes.c_char_p), 46, ctypes.byref(port))
        if c < 0:
            return {"error": f"accept {c}"}
        total, buf = 0, ctypes.create_string_buffer(16384)
        while True:
            n = z.zts_recv(c, ctypes.cast(buf, ctypes.c_char_p), len(buf), 0)
            if n <= 0:
                break
            self._send_all(c, buf.raw[:n])
            total += n
        z.zts_close(c)
        return {"from": who.value.decode(), "octets": total}

    def _send_all(self, c, data):
        while data:
            n = self.z.zts_send(c, data, len(data), 0)
            if n <= 0:
                raise OSError(f"send {n}")
            data = data[n:]

    def dial(self, ip, port, octets, timeout=20):
        """Send `octets` pseudo-random octets, check that the same come back."""
        z = self.z
        s = z.zts_socket(AF_INET6 if ":" in ip else AF_INET, SOCK_STREAM, 0)
        t0 = time.monotonic()
        while z.zts_connect(s, ip.encode(), port, 1000) != 0:
            z.zts_close(s)
            if time.monotonic() - t0 > timeout:
                return {"ok": False, "error": "no connection"}
            s = z.zts_socket(AF_INET6 if ":" in ip else AF_INET, SOCK_STREAM, 0)
        t1 = time.monotonic()
        sent = os.urandom(octets)
        got, buf = bytearray(), ctypes.create_string_buffer(16384)
        pos = 0
        while pos < octets:
            chunk = sent[pos:pos + 4096]
            self._send_all(s, chunk)
            pos += len(chunk)
            while len(got) < pos:
                n = z.zts_recv(s, ctypes.cast(buf, ctypes.c_char_p), len(buf), 0)
                if n <= 0:
                    return {"ok": False, "error": f"recv {n} after {len(got)} octets"}
                got += buf.raw[:n]
        z.zts_close(s)
        return {"ok": bytes(got) == sent, "octets": len(got), "connect_s": round(t1 - t0, 3),
                "transfer_s": round(time.monotonic() - t1, 3)}


def check(code, what):
    if code < 0:
        raise SystemExit(f"libzt: {what} failed with {code}")


def run(a):
    faulthandler.enable()  # or nobody learns where the library has ended the process
    events = queue.Queue()
    node = Node(load(a.wheel), lambda code, ident: events.put((code, ident, time.time())))
    node.start(a.home, a.planet, a.port, a.identity)
    seen = {}
    networks = []

    def pump():
        while True:
            code, ident, t = events.get()
            out(event=EVENT.get(code, str(code)), code=code, t=round(t, 3),
                id=None if ident is None else (f"{ident:016x}" if 210 <= code <= 234 or code >= 260 else f"{ident:010x}"))
    threading.Thread(target=pump, daemon=True).start()

    commands = queue.Queue()

    def read():
        for line in sys.stdin:
            line = line.strip()
            if line:
                try:
                    commands.put(json.loads(line))
                except ValueError:
                    out(error=f"not JSON: {line}")
        if not a.detached:
            commands.put({"cmd": "stop"})
    threading.Thread(target=read, daemon=True).start()
    for text in a.orbit:
        moon, seed = text.split(":")
        commands.put({"cmd": "orbit", "moon": moon, "seed": seed})
    for n in a.join:
        commands.put({"cmd": "join", "network": n})
    if a.echo:
        commands.put({"cmd": "echo", "port": a.echo})

    def in_thread(fn, tag):
        def work():
            try:
                out(**{tag: fn()})
            except Exception as e:  # reported, the node goes on
                out(**{tag: {"ok": False, "error": repr(e)}})
        threading.Thread(target=work, daemon=True).start()

    end = time.monotonic() + a.seconds
    was_online = None
    while time.monotonic() < end:
        on = node.online()
        if on != was_online:
            was_online = on
            out(node=node.id(), online=on, t=round(time.time(), 3))
        for n in networks:
            d = node.network(n)
            if d != seen.get(n):
                seen[n] = d
                out(t=round(time.time(), 3), **d)
        try:
            c = commands.get(timeout=a.poll)
        except queue.Empty:
            continue
        what = c.get("cmd")
        if what == "join":
            check(node.z.zts_net_join(int(c["network"], 16)), "net_join")
            networks.append(c["network"])
            out(joined=c["network"], t=round(time.time(), 3))
        elif what == "leave":
            node.z.zts_net_leave(int(c["network"], 16))
            networks = [n for n in networks if n != c["network"]]
            seen.pop(c["network"], None)
            out(left=c["network"])
        elif what in ("orbit", "deorbit"):
            call = node.z.zts_moon_orbit if what == "orbit" else node.z.zts_moon_deorbit
            check(call(int(c["moon"], 16), int(c["seed"], 16)), what)
            out(**{what: c["moon"]})
        elif what == "status":
            out(node=node.id(), online=node.online(), networks=[node.network(n) for n in networks])
        elif what == "echo":
            s = node.listen(int(c["port"]), AF_INET6 if c.get("ipv6") else AF_INET)
            out(listening=int(c["port"]))

            def serve(s=s):
                while True:
                    r = node.echo_once(s)
                    out(echo=r)
                    if "error" in r:
                        return
            threading.Thread(target=serve, daemon=True).start()
        elif what == "dial":
            in_thread(lambda c=c: node.dial(c["ip"], int(c["port"]), int(c.get("octets", 65536)),
                                            float(c.get("timeout", 20))), "dial")
        elif what == "stop":
            break
        else:
            out(error=f"unknown command {what}")
    node.z.zts_node_stop()
    out(stopped=True)
    os._exit(0)  # the library's threads do not all end by themselves


# ---- two nodes ---------------------------------------------------------------
def pair(a):
    """Two `run` processes: join, have them authorized, TCP echo from one to the other."""
    nodes, t0 = [], time.monotonic()
    for k in (0, 1):
        cmd = [sys.executable, os.path.abspath(__file__), "run", "--wheel", a.wheel, "--planet", a.planet,
               "--join", a.network, "--seconds", str(a.seconds)]
        if a.port:
            cmd += ["--port", str(a.port + k)]
        p = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        n = {"p": p, "lines": [], "seen": {}}
        nodes.append(n)

        def read(n=n, k=k):
            for line in n["p"].stdout:
                d = json.loads(line)
                out(which=k, **d)
                n["lines"].append(d)
                n["seen"].update(d)
        threading.Thread(target=read, daemon=True).start()

    def until(what, fn):
        while time.monotonic() - t0 < a.seconds:
            if all(fn(n) for n in nodes):
                return True
            if any(n["p"].poll() is not None for n in nodes):
                break
            time.sleep(0.05)
        out(pair=False, error=f"not reached: {what}", exit_codes=[n["p"].poll() for n in nodes],
            after_s=round(time.monotonic() - t0, 1))
        return False
    ok = until("online", lambda n: n["seen"].get("online") is True)
    if ok and a.authorize:
        for n in nodes:
            subprocess.run(["sh", "-c", a.authorize.replace("{address}", n["seen"]["node"])], check=True,
                           stdout=subprocess.DEVNULL)
    ok = ok and until("OK with an address", lambda n: n["seen"].get("status") == "OK" and n["seen"].get("addresses"))
    def ask(k, **command):
        nodes[k]["p"].stdin.write(json.dumps(command) + "\n")
        nodes[k]["p"].stdin.flush()
    ok = ok and until("address of the family", lambda n: any((":" in x) == a.ipv6 for x in n["seen"]["addresses"]))
    if ok:
        ip = next(x for x in nodes[1]["seen"]["addresses"] if (":" in x) == a.ipv6).split("/")[0]
        ask(1, cmd="echo", port=a.tcp, ipv6=a.ipv6)
        ask(0, cmd="dial", ip=ip, port=a.tcp, octets=a.octets, timeout=40)
        ok = until("dial", lambda n: n is nodes[1] or "dial" in n["seen"]) and nodes[0]["seen"]["dial"].get("ok")
        if ok:
            out(pair=True, after_s=round(time.monotonic() - t0, 1))
    for n in nodes:
        n["p"].stdin.close()
    for n in nodes:
        try:
            n["p"].wait(10)
        except subprocess.TimeoutExpired:
            n["p"].kill()
    return 0 if ok else 1


# ---- a private network namespace without any tool ------------------------------
def netlink_add(name, kind):
    """`ip link add NAME type KIND`, without needing iproute2."""
    def attr(t, data):
        return struct.pack("HH", len(data) + 4, t) + data + b"\0" * (-len(data) % 4)
    ifla_ifname, ifla_linkinfo, ifla_info_kind, rtm_newlink = 3, 18, 1, 16
    request, ack, excl, create = 1, 4, 0x200, 0x400
    body = struct.pack("BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0) + attr(ifla_ifname, name.encode() + b"\0") + \
        attr(ifla_linkinfo, attr(ifla_info_kind, kind.encode()))
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    s.send(struct.pack("IHHII", len(body) + 16, rtm_newlink, request | ack | excl | create, 1, 0) + body)
    code = struct.unpack_from("i", s.recv(4096), 16)[0]
    s.close()
    return -code


def private_net(addresses, device="lab0"):
    """Leave the machine's network for a namespace of our own with one device that
    carries `addresses`.  The device may not be called lo*, zt*, tun* or tap*, and
    the addresses may not be of 127.0.0.0/8: ZeroTier would bind none of those."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    new_user, new_net = 0x10000000, 0x40000000
    flags = new_net if uid == 0 else new_user | new_net
    if libc.unshare(flags):
        e = ctypes.get_errno()
        raise SystemExit(f"unshare: {os.strerror(e)} (are user namespaces switched off on this machine?)")
    if flags & new_user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as f:
                f.write(text)
    failed = [(k, e) for k in ("bridge", "veth", "dummy") for e in [netlink_add(device, k)] if e]
    if len(failed) == 3:
        raise SystemExit("no device: " + ", ".join(f"{k}: {os.strerror(e)}" for k, e in failed))
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    set_flags, set_addr, set_mask, up_running = 0x8914, 0x8916, 0x891C, 0x1 | 0x40

    def ioctl(request, name, rest):
        fcntl.ioctl(s, request, struct.pack("16s24s", name.encode(), rest))

    def sockaddr(a):
        return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(a))
    ioctl(set_flags, "lo", struct.pack("h", up_running))
    for i, ip in enumerate(addresses):
        label = device if i == 0 else f"{device}:{i}"
        ioctl(set_addr, label, sockaddr(ip))
        ioctl(set_mask, label, sockaddr("255.255.255.0"))
    ioctl(set_flags, device, struct.pack("h", up_running))
    s.close()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(dest="what", required=True)
    p = sub.add_parser("fetch")
    p.add_argument("dir")
    p = sub.add_parser("run")
    p.add_argument("--wheel", required=True, help="folder made by `fetch`")
    p.add_argument("--home", help="folder for identity and caches (default: kept in memory)")
    p.add_argument("--identity", help="identity.secret text to use instead of a new one")
    p.add_argument("--planet", help="planet file (signed root set); without it the node knows only the public roots")
    p.add_argument("--port", type=int, default=0, help="UDP port (default: random)")
    p.add_argument("--join", action="append", default=[], metavar="NETWORK")
    p.add_argument("--orbit", action="append", default=[], metavar="MOON:SEED",
                   help="orbit a moon, which one of its roots, the seed, is asked for; it is kept in memory only")
    p.add_argument("--echo", type=int, metavar="PORT", help="TCP echo server on the virtual network")
    p.add_argument("--seconds", type=float, default=120, help="hard limit on the life of the node")
    p.add_argument("--poll", type=float, default=0.02)
    p.add_argument("--detached", action="store_true", help="go on after the end of standard input")
    p = sub.add_parser("pair")
    p.add_argument("--wheel", required=True)
    p.add_argument("--planet", required=True)
    p.add_argument("--network", required=True)
    p.add_argument("--authorize", metavar="SHELL", help="run for each node when it is online; {address} is filled in")
    p.add_argument("--port", type=int, default=0, help="UDP port of the first node, the second has the next one")
    p.add_argument("--tcp", type=int, default=7000)
    p.add_argument("--octets", type=int, default=100000)
    p.add_argument("--ipv6", action="store_true", help="over the first IPv6 address instead of IPv4")
    p.add_argument("--seconds", type=float, default=90)
    p = sub.add_parser("netns")
    p.add_argument("-a", "--address", action="append", default=[])
    p.add_argument("command", nargs=argparse.REMAINDER)
    a = ap.parse_args()
    if a.what == "fetch":
        print(fetch(a.dir))
    elif a.what == "run":
        run(a)
    elif a.what == "pair":
        sys.exit(pair(a))
    else:
        cmd = a.command[1:] if a.command[:1] == ["--"] else a.command
        private_net(a.address or ["10.99.0.1"])
        os.execvp(cmd[0], cmd)


if __name__ == "__main__":
    main()
