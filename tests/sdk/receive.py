"""Receivers in Python: those that the documents print, and the published packages.

Speaks with the tests over standard input and output. Prints `listening PORT`; takes lines `JUDGE SECRET`, from then on the judge
of a request to /JUDGE, and answers each with `ok`. A request is answered with 200 when its judge accepts it, else with 401.
"""

import hashlib
import hmac
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import standardwebhooks.webhooks
import svix.webhooks

SECRETS = {}


# As Decisio's document prints it.
def verify_signature(payload: bytes, signature: str, secret: str) -> bool:
    expected = hmac.new(
        secret.encode(),
        payload,
        hashlib.sha256
    ).hexdigest()
    return hmac.compare_digest(f"sha256={expected}", signature)


# As AIOKA's document prints it.
def verify_webhook(payload_bytes: bytes, signature_header: str, secret: str) -> bool:
    expected = hmac.new(
        secret.encode(),
        payload_bytes,
        hashlib.sha256
    ).hexdigest()
    return hmac.compare_digest(expected, signature_header)


def package(webhook, error):
    """A judge from one of the packages, called as Resistant AI's document does."""

    def judge(body, given, secret):
        headers = {
            "webhook-id": given["webhook-id"],
            "webhook-timestamp": given["webhook-timestamp"],
            "webhook-signature": given["webhook-signature"],
        }
        try:
            webhook(secret).verify(body, headers)
        except error:
            return False
        return True

    return judge


JUDGES = {
    "/decisio": lambda body, headers, secret: verify_signature(body, headers["X-Decisio-Signature"], secret),
    "/aioka": lambda body, headers, secret: verify_webhook(body, headers["X-AIOKA-Signature"], secret),
    "/standardwebhooks": package(standardwebhooks.webhooks.Webhook, standardwebhooks.webhooks.WebhookVerificationError),
    "/svix": package(svix.webhooks.Webhook, svix.webhooks.WebhookVerificationError),
}


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        accepted = JUDGES[self.path](body, self.headers, SECRETS[self.path])
        self.send_response(200 if accepted else 401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def take_secrets():
    for line in sys.stdin:
        judge, secret = line.split()
        SECRETS[f"/{judge}"] = secret
        print("ok", flush=True)


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print("listening", server.server_port, flush=True)
threading.Thread(target=take_secrets, daemon=True).start()
server.serve_forever()
