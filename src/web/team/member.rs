//! One member: change role, remove. Each is asked once more on a page that names the person and what follows.

use crate::{
    actions::{self, Failure},
    domain::{
        account::Account,
        ids::AccountId,
        membership::{self, Membership},
        role::Role,
    },
    store::{self, Conn},
    web::{
        answer,
        form::{FormToken, Post},
        page::{Banner, Cx, RoleChoice},
        problem::Problem,
        urls,
        visit::{Member, Visit},
    },
};
use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Path, Query},
};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

#[derive(Template)]
#[template(path = "team/change_role.html")]
struct ChangeRole<'a> {
    cx: &'a Cx,
    url: String,
    name: String,
    email: String,
    roles: Vec<RoleChoice>,
    role_error: Option<String>,
}

#[derive(Template)]
#[template(path = "team/confirm_role.html")]
struct ConfirmRole<'a> {
    cx: &'a Cx,
    url: String,
    name: String,
    before: Role,
    after: Role,
}

#[derive(Template)]
#[template(path = "team/remove.html")]
struct Remove<'a> {
    cx: &'a Cx,
    url: String,
    name: String,
    before: Role,
}

/// `/orgs/{org}/settings/team/members/{account}`. An id that cannot be one is answered like one that does not exist.
#[derive(Deserialize, Clone)]
pub(in crate::web) struct MemberPath {
    org: String,
    account: String,
}

impl MemberPath {
    fn account(&self) -> AccountId {
        self.account.parse().unwrap_or(AccountId(Uuid::nil()))
    }

    fn url(&self) -> String {
        urls::member(&self.org, self.account())
    }
}

/// The member a page is about, and how many Owners there are.
struct Found {
    account: Account,
    membership: Membership,
    owners: i64,
}

fn find(conn: &mut Conn, member: Member<'_>, id: AccountId) -> Result<Found, Failure> {
    let organization = member.place.organization;
    let membership = store::memberships::find(conn, organization, id)?;
    let account = store::accounts::find(conn, id)?;
    let (membership, account) = membership.zip(account).ok_or(Failure::NotFound)?;
    Ok(Found {
        account,
        membership,
        owners: store::memberships::count_owners(conn, organization)?,
    })
}

/// `GET …/members/{account}/role`: choose; with `?role=`, confirm.
pub(in crate::web) async fn role(
    visit: Visit,
    path: Path<MemberPath>,
    chosen: Query<RoleQuery>,
) -> Result<HttpResponse, Problem> {
    let id = path.account();
    let wanted = chosen.role.as_deref().map(Role::parse);
    let (seen, found) = visit
        .member(&path.org, move |conn, member| {
            let found = find(conn, member, id)?;
            let to = wanted.flatten().unwrap_or(Role::Viewer);
            member.check(membership::permission_to_change(found.membership.role, to))?;
            // The page says what the action would say, before anything is filled in.
            membership::change_role(
                member.session.account.id,
                &found.membership,
                to,
                found.owners,
            )?;
            Ok(found)
        })
        .await?;
    let member = seen.member()?;
    let before = found.membership.role;
    if let Some(Some(after)) = wanted.filter(|role| *role != Some(before)) {
        let cx = visit.frame(&seen, "team/confirm_role", "Change role");
        return answer::ok(&ConfirmRole {
            cx: &cx,
            url: path.url(),
            name: found.account.name,
            before,
            after,
        });
    }
    let role_error = match wanted {
        None => None,
        Some(None) => Some("Choose one of the roles.".to_owned()),
        Some(Some(same)) => Some(format!("{} is {same} already.", found.account.name)),
    };
    let may = |role: &Role| member.may(membership::permission_to_change(before, *role));
    let roles = Role::ALL.into_iter().filter(may);
    let status = if role_error.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let cx = visit.frame(&seen, "team/change_role", "Change role");
    answer::html(
        status,
        &ChangeRole {
            cx: &cx,
            url: path.url(),
            name: found.account.name,
            email: found.account.email.shown().to_owned(),
            roles: roles.map(|role| RoleChoice::new(role, before)).collect(),
            role_error,
        },
    )
}

/// The query of the role page.
#[derive(Deserialize)]
pub(in crate::web) struct RoleQuery {
    role: Option<String>,
}

/// The confirmed change of a role.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct RoleForm {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    before: String,
    role: String,
}

/// `POST …/members/{account}/role`
pub(in crate::web) async fn change_role(
    post: Post<RoleForm>,
    path: Path<MemberPath>,
) -> Result<HttpResponse, Problem> {
    let before = read(&post.form.before, "before")?;
    let after = read(&post.form.role, "role")?;
    let (id, slug) = (path.account(), path.org.clone());
    let account = post
        .act(move |run, actor| actions::members::change_role(run, actor, &slug, id, before, after))
        .await?;
    let banner = Banner::done(format!("{} is {after} now.", account.name));
    Ok(post.visit.see_other_saying(urls::team(&path.org), &banner))
}

/// The role in a hidden field.
fn read(text: &str, field: &str) -> Result<Role, Problem> {
    Role::parse(text).ok_or_else(|| Problem::BadForm(format!("{field}: there is no role “{text}”")))
}

/// `GET …/members/{account}/remove`
pub(in crate::web) async fn confirm_remove(
    visit: Visit,
    path: Path<MemberPath>,
) -> Result<HttpResponse, Problem> {
    let id = path.account();
    let (seen, found) = visit
        .member(&path.org, move |conn, member| {
            let found = find(conn, member, id)?;
            member.check(membership::permission_to_remove(found.membership.role))?;
            membership::remove(member.session.account.id, &found.membership, found.owners)?;
            Ok(found)
        })
        .await?;
    let cx = visit.frame(&seen, "team/remove", "Remove member");
    answer::ok(&Remove {
        cx: &cx,
        url: path.url(),
        name: found.account.name,
        before: found.membership.role,
    })
}

/// The confirmed removal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct RemoveForm {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    before: String,
}

/// `POST …/members/{account}/remove`
pub(in crate::web) async fn remove(
    post: Post<RemoveForm>,
    path: Path<MemberPath>,
) -> Result<HttpResponse, Problem> {
    let before = read(&post.form.before, "before")?;
    let (id, slug) = (path.account(), path.org.clone());
    let account = post
        .act(move |run, actor| actions::members::remove(run, actor, &slug, id, before))
        .await?;
    let banner = Banner::done(format!(
        "{} is removed. You can invite them again at any time.",
        account.name
    ));
    Ok(post.visit.see_other_saying(urls::team(&path.org), &banner))
}
