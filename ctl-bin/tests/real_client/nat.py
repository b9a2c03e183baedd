"""A NAT in user space, for tests: UDP over IPv4, one mapping per inside address and port.

    nat.py INSIDE_DEVICE OUTSIDE_IP cone|symmetric [INSIDE_IP]

Run it in a network namespace that has both and does not forward by itself.  Mappings are sockets on the outside
address.  What comes back from an address and port that the mapping did not send to is dropped, as most home routers
do it.  `symmetric` makes another mapping for each destination.  With INSIDE_IP it is a NAT-PMP server there (RFC 6886): to a
port that is mapped so everybody may send.  Only the standard library is used; needs root.
"""
import selectors
import socket
import struct
import sys

device, outside_ip, kind = sys.argv[1:4]
inside_ip = sys.argv[4] if len(sys.argv) > 4 else None
ETH_P_IP, OUTGOING, UDP = 0x0800, 4, 17

inside = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
inside.bind((device, ETH_P_IP))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
selector = selectors.DefaultSelector()
selector.register(inside, selectors.EVENT_READ)
mappings = {}
asked_for = {}
pmp = None
if inside_ip:
    pmp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    pmp.bind((inside_ip, 5351))
    selector.register(pmp, selectors.EVENT_READ)


def outward(packet):
    header_len = (packet[0] & 15) * 4
    if packet[9] != UDP or len(packet) < header_len + 8:
        return
    source, destination = packet[12:16], socket.inet_ntoa(packet[16:20])
    source_port, port, length = struct.unpack_from("!HHH", packet, header_len)
    if destination.startswith("10.") or destination == "255.255.255.255":
        return
    if (source, source_port) in asked_for:
        s = asked_for[source, source_port]
        s.sendto(packet[header_len + 8:header_len + length], (destination, port))
        return
    key = (source, source_port) + ((destination, port) if kind == "symmetric" else ())
    if key not in mappings:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((outside_ip, 0))
        mappings[key] = (s, set())
        selector.register(s, selectors.EVENT_READ, (key, mappings[key][1]))
        print(f"mapping {socket.inet_ntoa(source)}:{source_port} -> {outside_ip}:{s.getsockname()[1]}", flush=True)
    s, allowed = mappings[key]
    allowed.add((destination, port))
    s.sendto(packet[header_len + 8:header_len + length], (destination, port))


def inward(s, key, allowed):
    data, sender = s.recvfrom(65536)
    if allowed is not None and sender not in allowed:
        return
    (target, target_port), (ip, port) = key[:2], sender
    udp = struct.pack("!HHHH", port, target_port, 8 + len(data), 0) + data
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, UDP, 0, socket.inet_aton(ip), target)
    raw.sendto(header + udp, (socket.inet_ntoa(target), 0))


def answer_pmp():
    request, client = pmp.recvfrom(1100)
    epoch = struct.pack("!I", 9)
    if request == b"\0\0":
        answer = b"\0\x80\0\0" + epoch + socket.inet_aton(outside_ip)
    elif len(request) == 12 and request[:2] == b"\0\1":
        port, wanted, seconds = struct.unpack_from("!HHI", request, 4)
        key = (socket.inet_aton(client[0]), port)
        s = asked_for.get(key)
        if seconds and not s:
            s = asked_for[key] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((outside_ip, wanted))
            selector.register(s, selectors.EVENT_READ, (key, None))
            print(f"mapped {client[0]}:{port} -> {outside_ip}:{wanted} for {seconds} s", flush=True)
        elif not seconds and s:
            selector.unregister(asked_for.pop(key))
            s.close()
            print(f"no longer mapped {client[0]}:{port}", flush=True)
        external = s.getsockname()[1] if seconds else 0
        answer = b"\0\x81\0\0" + epoch + struct.pack("!HHI", port, external, seconds)
    else:
        answer = b"\0\x80\0\1" + epoch
    pmp.sendto(answer, client)


print("ready", flush=True)
while True:
    for ready, _ in selector.select():
        try:
            if ready.fileobj is inside:
                packet, (_, _, packet_type, _, _) = inside.recvfrom(65536)
                if packet_type != OUTGOING:
                    outward(packet)
            elif ready.fileobj is pmp:
                answer_pmp()
            else:
                inward(ready.fileobj, *ready.data)
        except OSError as error:
            print("dropped:", error, flush=True)
