"""A subscriber that knows nothing of hookwheel: it takes webhooks, and verifies Standard Webhooks with the published package.

Prints `listening PORT`, then one JSON line for each request. Secrets come as lines `PATH SECRET` on standard input: a request to
such a path is answered with 401 unless the package verifies it; all others get 204.
"""

import base64
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SECRETS = {}


class Subscriber(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        verdict = self.verdict(body)
        self.send_response(401 if verdict else 204)
        self.send_header("content-length", "0")
        self.end_headers()
        said = {"path": self.path, "headers": dict(self.headers), "body": base64.b64encode(body).decode(), "refused": verdict}
        print(json.dumps(said), flush=True)

    def verdict(self, body):
        secret = SECRETS.get(self.path)
        if secret is None:
            return None
        try:
            Webhook(secret).verify(body, {name.lower(): value for name, value in self.headers.items()})
        except WebhookVerificationError as error:
            return str(error)
        return None

    def log_message(self, *_):
        pass


def take_secrets():
    for line in sys.stdin:
        path, secret = line.split()
        SECRETS[path] = secret
        print(json.dumps({"knows": path}), flush=True)


server = ThreadingHTTPServer(("127.0.0.1", 0), Subscriber)
print("listening", server.server_port, flush=True)
threading.Thread(target=take_secrets, daemon=True).start()
server.serve_forever()
