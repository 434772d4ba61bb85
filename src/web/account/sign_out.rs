//! Signing out: this browser's session ends, wherever its cookie was copied to.

use crate::{
    actions,
    web::{
        form::{Button, Post},
        page::Banner,
        problem::Problem,
        urls,
    },
};
use actix_web::HttpResponse;

/// `POST /sign-out`
pub(in crate::web) async fn sign_out(post: Post<Button>) -> Result<HttpResponse, Problem> {
    post.act_unconsented(actions::accounts::sign_out).await?;
    post.visit.forget();
    post.visit.leave(&Banner::done("You are signed out."));
    Ok(post.visit.see_other(urls::SIGN_IN))
}
