//! CSS, script and icons: compiled in, named by their content, compressed once, kept by browsers for a year.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
    web::{Bytes, Path},
};
use flate2::{Compression, write::GzEncoder};
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    io::Write as _,
    sync::{LazyLock, OnceLock},
};

#[derive(RustEmbed)]
#[folder = "static/"]
struct Embedded;

struct File {
    url: String,
    content_type: String,
    plain: Bytes,
    /// Made when it is first asked for: the first page need not wait for it.
    gzip: OnceLock<Option<Bytes>>,
}

impl File {
    /// Compressed, where that makes it smaller.
    fn gzip(&self) -> Option<&Bytes> {
        let smaller = || compressed(&self.plain).filter(|gzip| gzip.len() < self.plain.len());
        self.gzip.get_or_init(smaller).as_ref()
    }
}

struct Files {
    by_name: HashMap<String, File>,
    name_of_url: HashMap<String, String>,
}

static FILES: LazyLock<Files> = LazyLock::new(|| {
    let by_name: HashMap<String, File> = Embedded::iter()
        .filter_map(|name| Some((name.to_string(), load(&name)?)))
        .collect();
    let name_of_url = by_name
        .iter()
        .map(|(name, file)| (file.url.clone(), name.clone()))
        .collect();
    Files {
        by_name,
        name_of_url,
    }
});

fn load(name: &str) -> Option<File> {
    let plain = Bytes::from(Embedded::get(name)?.data.into_owned());
    let hash: String = Sha256::digest(&plain)
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let url = match name.rsplit_once('.') {
        Some((stem, ending)) => format!("/static/{stem}.{hash}.{ending}"),
        None => format!("/static/{name}.{hash}"),
    };
    let mut content_type = mime_guess::from_path(name)
        .first_or_octet_stream()
        .to_string();
    if content_type.starts_with("text/") {
        content_type.push_str("; charset=utf-8");
    }
    Some(File {
        url,
        content_type,
        plain,
        gzip: OnceLock::new(),
    })
}

fn compressed(plain: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    Some(encoder.finish().ok()?.into())
}

/// The address of a file, with the hash of its content in it. A name we do not have leads to a 404.
pub(super) fn url(name: &str) -> &'static str {
    FILES
        .by_name
        .get(name)
        .map_or("/static/missing", |file| file.url.as_str())
}

/// `GET /static/{file}`
pub(super) async fn show(request: HttpRequest, file: Path<String>) -> HttpResponse {
    let name = FILES.name_of_url.get(&format!("/static/{file}"));
    answer(
        &request,
        name.map_or("", String::as_str),
        "public, max-age=31536000, immutable",
    )
}

/// `GET /favicon.ico`: browsers ask for it by themselves.
pub(super) async fn favicon(request: HttpRequest) -> HttpResponse {
    answer(&request, "mark.svg", "public, max-age=86400")
}

fn answer(request: &HttpRequest, name: &str, keep: &'static str) -> HttpResponse {
    let Some(file) = FILES.by_name.get(name) else {
        return HttpResponse::NotFound()
            .content_type("text/plain; charset=utf-8")
            .body("There is no such file.\n");
    };
    let accepts_gzip = request
        .headers()
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .split(',')
                .any(|part| part.trim().split(';').next() == Some("gzip"))
        });
    let gzip = accepts_gzip.then(|| file.gzip()).flatten();
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, file.content_type.as_str()))
        .insert_header((header::CACHE_CONTROL, keep))
        .insert_header((header::VARY, HeaderValue::from_static("Accept-Encoding")));
    match gzip {
        Some(gzip) => response
            .insert_header((header::CONTENT_ENCODING, "gzip"))
            .body(gzip.clone()),
        None => response.body(file.plain.clone()),
    }
}
