//! Forms with a file: read in parts, within limits, as [`Post`] reads the others.

use super::{
    form::{BODY_TIME, Post, ours},
    problem::Problem,
};
use actix_multipart::{Multipart, MultipartError};
use actix_web::{FromRequest, HttpRequest, dev::Payload, mime};
use futures_util::{StreamExt as _, TryStreamExt as _, future::LocalBoxFuture};

/// Longest text field beside the file, in bytes.
const LONGEST_FIELD: usize = 4096;
/// Most parts of a form.
const MOST_PARTS: usize = 16;
/// What is read and thrown away of a file that is too large, in bytes: a browser shows our answer only after it could
/// send all it had. Beyond that the connection is closed.
const DRAINED: usize = 64 * 1024 * 1024;

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
            let parts = Multipart::new(request.headers(), payload);
            let upload = tokio::time::timeout(BODY_TIME, read(parts))
                .await
                .map_err(|_| Problem::TooSlow)??;
            let token = upload.field("csrf").to_owned();
            Self::new(upload, visit, token, &request)
        })
    }
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
            return Err(Problem::TooLarge);
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
                return Err(Problem::TooLarge);
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
            return Err(Problem::TooLarge);
        }
        let text = String::from_utf8(bytes)
            .ok()
            .filter(|text| !text.contains('\0'))
            .ok_or_else(|| Problem::BadForm("it has a character that is no text".to_owned()))?;
        upload.fields.push((name, text));
    }
    Ok(upload)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "map_err hands the error over"
)]
fn unreadable(error: MultipartError) -> Problem {
    Problem::BadForm(error.to_string())
}
