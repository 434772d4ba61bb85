//! Pictures of people: uploading one's own, and showing those of the people one works with (R-ORG-4).

use super::profile::{self, Faults};
use crate::{
    actions::{self, Failure},
    domain::ids::AvatarId,
    store,
    web::{
        form::{Button, Post},
        page::Banner,
        problem::{self, Problem},
        upload::{File, Upload},
        urls,
        visit::Visit,
    },
};
use actix_web::{HttpResponse, http::header, web::Path};

/// Largest file that is taken, in bytes.
const MOST: usize = 2 * 1024 * 1024;

/// `POST /account/avatar`
pub(in crate::web) async fn upload(post: Post<Upload<MOST>>) -> Result<HttpResponse, Problem> {
    // Before any work on the file: somebody who is signed in sent it, from one of our own pages.
    post.check().await?;
    let (file, visit) = (&post.form.file, &post.visit);
    let fault = |words: String| Faults {
        avatar: Some(words),
        ..Faults::default()
    };
    let bytes = match file {
        File::Bytes(bytes) => bytes.clone(),
        File::Missing => {
            return profile::again(visit, fault("Choose a picture.".to_owned()), None).await;
        }
        File::TooLarge => {
            let most = format!("{} MB", MOST / 1024 / 1024);
            let words = format!("This file is too large. Use one of at most {most}.");
            let explained = problem::explain(&Problem::TooLarge(most), None);
            return profile::again(visit, fault(words), Some(&explained)).await;
        }
    };
    let png = match visit.app.studio.portrait(bytes).await? {
        Ok(png) => png,
        Err(unfit) => return profile::again(visit, fault(unfit.to_string()), None).await,
    };
    post.act(move |run, actor| actions::profile::set_avatar(run, actor, &png))
        .await?;
    let banner = Banner::done("Your picture is changed.");
    Ok(visit.see_other_saying(urls::ACCOUNT, &banner))
}

/// `POST /account/avatar/remove`
pub(in crate::web) async fn remove(post: Post<Button>) -> Result<HttpResponse, Problem> {
    post.act(actions::profile::remove_avatar).await?;
    let banner = Banner::done("Your picture is removed.");
    Ok(post.visit.see_other_saying(urls::ACCOUNT, &banner))
}

/// `GET /avatars/{id}`, for its owner and whoever shares an organization with them. For all others there is no such
/// picture.
pub(in crate::web) async fn show(visit: Visit, id: Path<String>) -> Result<HttpResponse, Problem> {
    let id = id
        .parse::<AvatarId>()
        .map_err(|_unreadable| Problem::not_found())?;
    let (_, png) = visit
        .anyone(None, move |conn, seen| {
            let session = seen.session.as_ref().ok_or(Failure::NotFound)?;
            let (owner, png) = store::avatars::find(conn, id)?.ok_or(Failure::NotFound)?;
            if owner == session.account.id {
                return Ok(png);
            }
            let theirs = store::memberships::organizations_of(conn, owner)?;
            let shared = |place: &store::sessions::Place| theirs.contains(&place.organization);
            if seen.places.iter().any(shared) {
                Ok(png)
            } else {
                Err(Failure::NotFound)
            }
        })
        .await?;
    // It never changes: another picture gets another id. Opened by itself it may do nothing.
    Ok(HttpResponse::Ok()
        .content_type("image/png")
        .insert_header((
            header::CACHE_CONTROL,
            "private, max-age=31536000, immutable",
        ))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(png))
}
