//! Which letters one wants (R-ORG-4, R-ACC-11). What happens shows behind the bell in any case.

use crate::{
    actions::{self, Failure},
    domain::notification::NotificationKind,
    store,
    web::{
        answer,
        form::{FormToken, Post},
        page::{Banner, Cx},
        problem::Problem,
        urls,
        visit::Visit,
    },
};
use actix_web::HttpResponse;
use askama::Template;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "account/notifications.html")]
struct Letters<'a> {
    cx: &'a Cx,
    kinds: Vec<Kind>,
}

struct Kind {
    word: &'static str,
    label: &'static str,
    by_mail: bool,
    always: bool,
}

/// The form: the kinds that are wanted by mail.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Wanted {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    #[serde(default)]
    mail: Vec<String>,
}

/// `GET /account/notifications`
pub(in crate::web) async fn show(visit: Visit) -> Result<HttpResponse, Problem> {
    let (seen, muted) = visit
        .anyone(None, |conn, seen| {
            let session = seen.session.as_ref().ok_or(Failure::SignedOut)?;
            Ok(store::notifications::muted(conn, session.account.id)?)
        })
        .await?;
    let cx = visit.frame(&seen, "account/notifications", "Notifications");
    let kinds = NotificationKind::ALL
        .into_iter()
        .map(|kind| Kind {
            word: kind.as_str(),
            label: kind.label(),
            by_mail: !kind.can_be_muted() || !muted.contains(&kind),
            always: !kind.can_be_muted(),
        })
        .collect();
    answer::ok(&Letters { cx: &cx, kinds })
}

/// `POST /account/notifications`
pub(in crate::web) async fn choose(post: Post<Wanted>) -> Result<HttpResponse, Problem> {
    let wanted: Option<Vec<_>> = post
        .form
        .mail
        .iter()
        .map(|word| NotificationKind::parse(word))
        .collect();
    let Some(wanted) = wanted else {
        return Err(Problem::BadForm(
            "mail has a word that is no kind of notification".to_owned(),
        ));
    };
    post.act(move |run, actor| actions::letters::choose(run, actor, &wanted))
        .await?;
    let banner = Banner::done("Saved.");
    Ok(post.visit.see_other_saying(urls::LETTERS, &banner))
}
