// Receivers in Node: DcisionAI's Express sample as its document prints it, and the published packages.
//
// Speaks with the tests over standard input and output. Prints `listening PORT`; takes lines `JUDGE SECRET`, from then on the
// judge of a request to its path, and answers each with `ok`. A request is answered with 200 when its judge accepts it, else
// with 401.
'use strict';

const express = require('express');
const crypto = require('crypto');
const readline = require('readline');
const packages = { svix: require('svix'), standardwebhooks: require('standardwebhooks') };

const secrets = {};
const app = express();

// Before express.json(): these verify over the raw body.
for (const [name, { Webhook, WebhookVerificationError }] of Object.entries(packages)) {
  app.post(`/${name}`, express.raw({ type: '*/*' }), (req, res) => {
    try {
      new Webhook(secrets[name]).verify(req.body.toString(), req.headers);
    } catch (error) {
      if (!(error instanceof WebhookVerificationError)) throw error;
      return res.status(401).end();
    }
    res.status(200).end();
  });
}

// From here on as the document has it; the handlers of events are ours.
const handleProjectCreated = () => {};
const handleModelTrained = () => {};
const handlePredictionCompleted = () => {};

app.use(express.json());

function verifyWebhook(request) {
  const signature = request.headers['x-dcisionai-signature'];
  const timestamp = request.headers['x-dcisionai-timestamp'];
  const payload = request.body;

  const expectedSignature = crypto
    .createHmac('sha256', process.env.WEBHOOK_SECRET)
    .update(`${timestamp}.${JSON.stringify(payload)}`)
    .digest('hex');

  return crypto.timingSafeEqual(
    Buffer.from(signature),
    Buffer.from(expectedSignature)
  );
}

function verifyTimestamp(request) {
  const timestamp = parseInt(request.headers['x-dcisionai-timestamp']);
  const now = Math.floor(Date.now() / 1000);

  // Allow 5 minutes of clock drift
  return Math.abs(now - timestamp) <= 300;
}

app.post('/webhooks/dcisionai', (req, res) => {
  const signature = req.headers['x-dcisionai-signature'];
  const timestamp = req.headers['x-dcisionai-timestamp'];

  if (!verifyWebhook(req)) {
    return res.status(401).json({ error: 'Invalid signature' });
  }

  if (!verifyTimestamp(req)) {
    return res.status(401).json({ error: 'Invalid timestamp' });
  }

  const event = req.body.event;
  const data = req.body.data;

  switch (event) {
    case 'project.created':
      handleProjectCreated(data);
      break;
    case 'model.trained':
      handleModelTrained(data);
      break;
    case 'prediction.completed':
      handlePredictionCompleted(data);
      break;
  }

  res.status(200).json({ received: true });
});

const server = app.listen(0, '127.0.0.1', () => console.log('listening', server.address().port));

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [judge, secret] = line.split(' ');
  secrets[judge] = secret;
  if (judge === 'dcisionai') process.env.WEBHOOK_SECRET = secret;
  console.log('ok');
});
