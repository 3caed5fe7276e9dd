"""DcisionAI's Flask receiver as its document prints it, which verifies over the raw body; the handlers of events are ours.

Speaks with the tests as receive.py does; its one path is /webhooks/dcisionai.
"""

import hashlib
import hmac
import logging
import os
import sys
import threading
import time

from flask import Flask, jsonify, request
from werkzeug.serving import make_server

app = Flask(__name__)


def handle_project_created(data):
    pass


handle_model_trained = handle_prediction_completed = handle_project_created


@app.route('/webhooks/dcisionai', methods=['POST'])
def webhook():
    signature = request.headers.get('X-DcisionAI-Signature')
    timestamp = request.headers.get('X-DcisionAI-Timestamp')

    if not verify_webhook(request):
        return jsonify({'error': 'Invalid signature'}), 401

    if not verify_timestamp(request):
        return jsonify({'error': 'Invalid timestamp'}), 401

    event = request.json['event']
    data = request.json['data']

    if event == 'project.created':
        handle_project_created(data)
    elif event == 'model.trained':
        handle_model_trained(data)
    elif event == 'prediction.completed':
        handle_prediction_completed(data)

    return jsonify({'received': True})


def verify_webhook(request):
    signature = request.headers.get('X-DcisionAI-Signature')
    timestamp = request.headers.get('X-DcisionAI-Timestamp')
    payload = request.get_data()

    expected_signature = hmac.new(
        os.getenv('WEBHOOK_SECRET').encode(),
        f'{timestamp}.{payload.decode()}'.encode(),
        hashlib.sha256
    ).hexdigest()

    return hmac.compare_digest(signature, expected_signature)


def verify_timestamp(request):
    timestamp = int(request.headers.get('X-DcisionAI-Timestamp'))
    now = int(time.time())

    return abs(now - timestamp) <= 300


def take_secrets():
    for line in sys.stdin:
        os.environ['WEBHOOK_SECRET'] = line.split()[1]
        print("ok", flush=True)


logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = make_server("127.0.0.1", 0, app, threaded=True)
print("listening", server.server_port, flush=True)
threading.Thread(target=take_secrets, daemon=True).start()
server.serve_forever()
