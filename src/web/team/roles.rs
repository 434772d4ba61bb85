//! The Roles page: the policy's own table (R-ROLE-2).

use crate::{
    domain::{
        policy::{self, Permission},
        role::Role,
    },
    web::{
        answer,
        page::{self, Cx},
        problem::Problem,
        visit::Visit,
    },
};
use actix_web::{HttpResponse, web::Path};
use askama::Template;

#[derive(Template)]
#[template(path = "team/roles.html")]
struct Roles<'a> {
    cx: &'a Cx,
    roles: Vec<RoleColumn>,
    rows: Vec<PolicyRow>,
}

struct RoleColumn {
    label: &'static str,
    yours: bool,
}

struct PolicyRow {
    permission: String,
    cells: Vec<PolicyCell>,
}

struct PolicyCell {
    role_label: &'static str,
    yes: bool,
    yours: bool,
}

/// `GET /orgs/{org}/settings/roles`
pub(in crate::web) async fn show(visit: Visit, org: Path<String>) -> Result<HttpResponse, Problem> {
    let (seen, ()) = visit
        .member(&org, |_, member| member.check(Permission::OpenOrganization))
        .await?;
    let yours = seen.member()?.place.role;
    let cx = visit.frame(&seen, "team/roles", "Roles");
    let cell = |permission, role: Role| PolicyCell {
        role_label: role.label(),
        yes: policy::allows(role, permission),
        yours: role == yours,
    };
    answer::ok(&Roles {
        cx: &cx,
        roles: Role::ALL
            .map(|role| RoleColumn {
                label: role.label(),
                yours: role == yours,
            })
            .into(),
        rows: Permission::ALL
            .into_iter()
            .map(|permission| PolicyRow {
                permission: page::capitalized(permission.label()),
                cells: Role::ALL.map(|role| cell(permission, role)).into(),
            })
            .collect(),
    })
}
