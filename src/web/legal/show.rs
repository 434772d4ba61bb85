//! A legal document whose text is with us: for everybody, signed in or not.

use crate::{
    domain::consent::LegalPlace,
    web::{answer, page::Cx, problem::Problem, visit::Visit},
};
use actix_web::{HttpResponse, web::Path};
use askama::Template;

#[derive(Template)]
#[template(path = "legal/show.html")]
struct Show<'a> {
    cx: &'a Cx,
    name: &'a str,
    version: &'a str,
    text: &'a str,
}

/// `GET /legal/{document}`
pub(in crate::web) async fn show(
    visit: Visit,
    document: Path<String>,
) -> Result<HttpResponse, Problem> {
    let legal = &visit.app.means.rules.legal;
    let document = legal
        .iter()
        .find(|known| known.slug == *document)
        .ok_or_else(Problem::not_found)?;
    match &document.place {
        // What was linked here while the text was with us leads on.
        LegalPlace::Address(address) => Ok(visit.see_other(address)),
        LegalPlace::Text(text) => {
            let (seen, ()) = visit.anyone_unconsented(|_, _| Ok(())).await?;
            let cx = visit.frame(&seen, "legal/show", document.name.clone());
            answer::ok(&Show {
                cx: &cx,
                name: &document.name,
                version: &document.version,
                text,
            })
        }
    }
}
