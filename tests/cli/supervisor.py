"""systemd's end of NOTIFY_SOCKET, as sd_notify(3) has it."""
import socket


class Supervisor:
    def __init__(self, folder, wait_s=60):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(wait_s)
        self.heard = []

    def wait_for(self, part):
        """The next message with these words."""
        while True:
            message = self.socket.recv(4096).decode()
            self.heard.append(message)
            if part in message:
                return message

    def close(self):
        self.socket.close()
