//! Queues publications for the writer. Each goes into its tenant's line. Many at once are cut into small pieces, so that none of
//! them holds a commit for long.

use tokio::sync::oneshot;

use super::turns::Line;
use crate::store::handle::{Store, refusal};
use crate::store::message::command::Op;
use crate::store::message::publication::{Accepted, Publication, Refusal};

/// The writer's answers for the publications of a piece.
type Answers = oneshot::Receiver<Vec<Result<Accepted, Refusal>>>;

impl Store {
    /// Publishes one event, and waits until it is on disk.
    pub(crate) async fn accept_one(&self, publication: Publication) -> Result<Accepted, Refusal> {
        let (bytes, line) = (publication.bytes(), self.line_of(&publication));
        let (to, answer) = oneshot::channel();
        self.inbox.publish(line, Op::Accept(Box::new(publication), to), bytes).map_err(refusal)?;
        answer.await.unwrap_or(Err(Refusal::Closing))
    }

    /// Publishes events. All are queued when this returns. The future it returns ends when all are on disk or refused, with a
    /// result for each, in order.
    pub(crate) fn accept(&self, batch: Vec<Publication>) -> impl Future<Output = Vec<Result<Accepted, Refusal>>> + Send + use<> {
        let count = batch.len();
        let mut pieces = Vec::new();
        let mut piece = Piece::default();
        for publication in batch {
            let line = self.line_of(&publication);
            if piece.line != line || piece.is_full() {
                let next = Piece { line, ..Piece::default() };
                pieces.extend(self.queue(std::mem::replace(&mut piece, next)));
            }
            piece.bytes += publication.bytes();
            piece.publications.push(publication);
        }
        pieces.extend(self.queue(piece));
        async move {
            let mut results = Vec::with_capacity(count);
            for queued in pieces {
                queued.into_results(&mut results).await;
            }
            results
        }
    }

    fn queue(&self, piece: Piece) -> Option<Queued> {
        let Piece { line, bytes, publications } = piece;
        let count = publications.len();
        let (to, answers) = oneshot::channel();
        let queued = || self.inbox.publish(line, Op::AcceptAll(publications, to), bytes).map_err(refusal);
        (count > 0).then(|| Queued { count, answers: queued().map(|()| answers) })
    }

    /// The line of the publication's tenant, or of its provider when it is for all tenants.
    fn line_of(&self, publication: &Publication) -> Line {
        self.inbox.line(&publication.provider, publication.listed_under())
    }
}

/// Publications of one line that are committed together.
struct Piece {
    line: Line,
    bytes: usize,
    publications: Vec<Publication>,
}

impl Default for Piece {
    fn default() -> Self {
        Self { line: Line::COMMON, bytes: 0, publications: Vec::new() }
    }
}

impl Piece {
    fn is_full(&self) -> bool {
        self.publications.len() >= PIECE_EVENTS || self.bytes >= PIECE_BYTES
    }
}

/// A piece that was queued, or the reason why it was refused.
struct Queued {
    count: usize,
    answers: Result<Answers, Refusal>,
}

impl Queued {
    async fn into_results(self, results: &mut Vec<Result<Accepted, Refusal>>) {
        let refused = match self.answers {
            Ok(answers) => match answers.await {
                Ok(answered) => return results.extend(answered),
                Err(_) => Refusal::Closing,
            },
            Err(refusal) => refusal,
        };
        results.extend(std::iter::repeat_n(Err(refused), self.count));
    }
}

/// The most events of a piece, and the bytes after which it takes no more: a fraction of what a commit takes while several
/// tenants publish.
const PIECE_EVENTS: usize = 32;
const PIECE_BYTES: usize = 8 << 10;
