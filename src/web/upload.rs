//! Forms with a file: read in parts, within limits, as [`Post`] reads the others.

use super::{
    form::{Post, ours},
    problem::Problem,
    visit::Visit,
};
use crate::{actions::Failure, domain::ids::AccountId, turns::Busy};
use actix_multipart::{Multipart, MultipartError};
use actix_web::{FromRequest, HttpRequest, dev::Payload, error::PayloadError, mime, web::Bytes};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future::LocalBoxFuture, stream};
use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// Longest text field beside the file, in bytes.
const LONGEST_FIELD: usize = 4096;
/// Most parts of a form.
const MOST_PARTS: usize = 16;
/// What is read and thrown away of a file that is too large, in bytes: a browser shows our answer only after it could
/// send all it had. Beyond that the connection is closed.
const DRAINED: usize = 64 * 1024 * 1024;

/// How long a form with a file may take: two megabytes over a slow telephone.
const BODY_TIME: Duration = Duration::from_secs(60);
/// How long a client may send nothing in the middle of one.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// How many forms with a file are read at once: each is held in memory whole.
const AT_ONCE: usize = 32;
/// How many of them may be one person's, so that nobody can take them all.
const AT_ONCE_EACH: usize = 3;
/// How long one waits for that.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);
/// Whose forms are being read: an entry for each.
static READING: Mutex<Vec<AccountId>> = Mutex::new(Vec::new());

/// A file as it came. Its name and type are the sender's claims; only its bytes say what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum File {
    /// No file was chosen.
    Missing,
    /// Longer than the form allows.
    TooLarge,
    /// The bytes.
    Bytes(Vec<u8>),
}

/// The fields of a form with one file of at most `MOST` bytes.
pub(super) struct Upload<const MOST: usize> {
    /// The file.
    pub(super) file: File,
    fields: Vec<(String, String)>,
}

impl<const MOST: usize> Upload<MOST> {
    /// A text field; empty when it was not sent.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, text)| text)
    }
}

impl<const MOST: usize> FromRequest for Post<Upload<MOST>> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let visit = ours(&request, &mime::MULTIPART_FORM_DATA)?;
            let _turn = admit(&visit).await?;
            let parts = Multipart::new(request.headers(), without_long_pauses(payload));
            let upload = timeout(BODY_TIME, read(parts))
                .await
                .map_err(|_| Problem::TooSlow)??;
            let token = upload.field("csrf").to_owned();
            Self::new(upload, visit, token, &request)
        })
    }
}

/// A place among the forms that are read, given back when it is dropped.
struct Place {
    account: AccountId,
    _turn: SemaphorePermit<'static>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut reading = reading();
        if let Some(mine) = reading.iter().position(|one| *one == self.account) {
            reading.swap_remove(mine);
        }
    }
}

fn reading() -> MutexGuard<'static, Vec<AccountId>> {
    READING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nobody makes us hold a file who is not signed in, and nobody too many at once.
async fn admit(visit: &Visit) -> Result<Place, Problem> {
    let (_, account) = visit
        .anyone(None, |_, seen| {
            let session = seen.session.as_ref().ok_or(Failure::SignedOut)?;
            Ok(session.account.id)
        })
        .await?;
    let turn = timeout(LONGEST_WAIT, TURNS.acquire()).await;
    let turn = turn.map_err(|_| Busy)?.map_err(|_| Busy)?;
    let mut reading = reading();
    if reading.iter().filter(|one| **one == account).count() >= AT_ONCE_EACH {
        return Err(Busy.into());
    }
    reading.push(account);
    Ok(Place {
        account,
        _turn: turn,
    })
}

/// Ends a body whose sender falls silent.
fn without_long_pauses(payload: Payload) -> impl Stream<Item = Result<Bytes, PayloadError>> {
    stream::unfold(payload, |mut payload| async {
        match timeout(LONGEST_PAUSE, payload.next()).await {
            Ok(next) => next.map(|piece| (piece, payload)),
            Err(_) => {
                let silent = PayloadError::Io(io::ErrorKind::TimedOut.into());
                Some((Err(silent), Payload::None))
            }
        }
    })
    // The parser asks again after the end.
    .fuse()
    .boxed_local()
}

async fn read<const MOST: usize>(mut parts: Multipart) -> Result<Upload<MOST>, Problem> {
    let mut upload = Upload {
        file: File::Missing,
        fields: Vec::new(),
    };
    let mut count = 0;
    while let Some(mut part) = parts.try_next().await.map_err(unreadable)? {
        count += 1;
        if count > MOST_PARTS {
            return Err(Problem::TooLarge(format!("{MOST_PARTS} fields")));
        }
        let disposition = part.content_disposition();
        let is_file = disposition.is_some_and(|it| it.get_filename().is_some());
        let name = part.name().unwrap_or_default().to_owned();
        let most = if is_file { MOST } else { LONGEST_FIELD };
        let (mut bytes, mut seen) = (Vec::new(), 0_usize);
        while let Some(chunk) = part.next().await {
            let chunk = chunk.map_err(unreadable)?;
            seen += chunk.len();
            if seen > DRAINED {
                return Err(Problem::TooLarge(format!("{} kB", most / 1024)));
            }
            if seen <= most {
                bytes.extend_from_slice(&chunk);
            } else {
                bytes = Vec::new();
            }
        }
        if is_file {
            upload.file = match seen {
                0 => File::Missing,
                seen if seen > most => File::TooLarge,
                _ => File::Bytes(bytes),
            };
            continue;
        }
        if seen > most {
            return Err(Problem::TooLarge(format!("{} kB for {name}", most / 1024)));
        }
        let text = String::from_utf8(bytes)
            .ok()
            .filter(|text| !text.contains('\0'))
            .ok_or_else(|| Problem::BadForm("it has a character that is no text".to_owned()))?;
        upload.fields.push((name, text));
    }
    Ok(upload)
}

fn unreadable(error: MultipartError) -> Problem {
    match error {
        MultipartError::Payload(PayloadError::Io(why)) if why.kind() == io::ErrorKind::TimedOut => {
            Problem::TooSlow
        }
        other => Problem::BadForm(other.to_string()),
    }
}
