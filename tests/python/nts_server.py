"""chrony as a server of keys and of time, and an authority of our own that vouches for it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from servers import free_tcp_port
from support import Chrony, free_udp_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"
SUBJECT = "CN=ntp-clock's test server"
ISSUER = "CN=ntp-clock's test authority"


class Authority:
    """Whoever says whose certificates are right; its own one is in `file`."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl: apt-get install openssl")
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self.file = folder / "ca.pem"
        self._key = folder / "ca.key"
        self._openssl(
            *("req", "-x509", *_NEW_KEY, "-keyout", str(self._key), "-out", str(self.file)),
            *("-days", "3", "-subj", f"/{ISSUER}"),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
        )

    def certify(self) -> tuple[Path, Path]:
        """Files of a certificate for this machine and of its key."""
        certificate, key = self._folder / "server.pem", self._folder / "server.key"
        request, names = self._folder / "server.csr", self._folder / "names"
        names.write_text(f"subjectAltName=DNS:localhost,IP:{HOST}\n")
        self._openssl(
            *("req", *_NEW_KEY, "-keyout", str(key), "-out", str(request), "-subj", f"/{SUBJECT}")
        )
        self._openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.file), "-CAkey", str(self._key)),
            *("-set_serial", "1", "-days", "2", "-extfile", str(names), "-out", str(certificate)),
        )
        return certificate, key

    @staticmethod
    def _openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class NtsServer(Chrony):
    """Debian's NTP server, also as a server of keys. Its keys are others after each start."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, free_udp_port())
        self.authority = Authority(folder / "authority")
        certificate, key = self.authority.certify()
        keys_port = free_tcp_port()
        self.ntp_address = self.address
        """Where it tells the time."""
        self.keys_address = f"{HOST}:{keys_port}"
        """Where it gives keys."""
        with self._conf.open("a") as conf:
            conf.write(
                f"ntsport {keys_port}\nntsservercert {certificate}\nntsserverkey {key}\n"
                "ntsprocesses 0\n"
            )

    @property
    def variables(self) -> dict[str, str]:
        """For a program whose shared clock requires that this server proves its replies."""
        return {
            "PORTACODE_NTP_SERVER": self.keys_address,
            "PORTACODE_NTP_NTS": "required",
            "PORTACODE_NTP_NTS_CA": str(self.authority.file),
        }


@contextmanager
def unfinished_exchanges() -> Iterator[tuple[str, list[socket.socket]]]:
    """Address of a server that takes connections and says nothing; and those that it has."""
    taken: list[socket.socket] = []
    with socket.create_server((HOST, 0)) as listener:

        def take() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield f"{HOST}:{listener.getsockname()[1]}", taken
        listener.shutdown(socket.SHUT_RDWR)
    for connection in taken:
        connection.close()
