//! Screens. This file is the table of addresses; everything else lives in the room its name says.

/// Lets types be shown by their `put`, on pages straight into the page: a list has hundreds of them. What they put there
/// must have nothing in it that HTML has to escape.
macro_rules! written {
    ($($name:ty),+) => {$(
        impl askama::filters::HtmlSafe for $name {}

        impl askama::FastWritable for $name {
            fn write_into(&self, page: &mut dyn std::fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
                Ok(self.put(page)?)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.put(f)
            }
        }
    )+};
}

mod account;
pub mod answer;
pub mod app;
pub mod connection;
mod csrf;
mod csv_file;
pub mod error;
mod escaped;
pub mod figures;
mod form;
mod health;
mod invitation;
mod legal;
pub mod log;
mod organization;
pub mod page;
mod paging;
mod password;
pub mod problem;
mod static_files;
mod team;
mod upload;
pub mod urls;
pub mod visit;
mod when;

use actix_web::{
    Resource, guard,
    http::Method,
    web::{ServiceConfig, resource, route, scope, to},
};

/// A GET is also there for HEAD.
macro_rules! route {
    (GET, $handler:path) => {
        route()
            .guard(guard::Any(guard::Get()).or(guard::Head()))
            .to($handler)
    };
    ($method:ident, $handler:path) => {
        route().method(Method::$method).to($handler)
    };
}

/// Addresses by what they start with: an address is compared only with those that start like it, which matters because
/// each comparison with a part in braces is a regular expression. The first that fits counts.
macro_rules! routes {
    ($(in $prefix:literal { $($path:literal => $($method:ident $handler:path),+;)+ })+) => {
        /// Every route: method and address, in the order of the table. The golden table of routes and roles is
        /// checked against it.
        pub const ROUTES: &[(&str, &str)] = &[$($($((stringify!($method), concat!($prefix, $path)),)+)+)+];

        /// Registers every route. Unknown methods get 405, unknown addresses 404.
        pub fn configure(services: &mut ServiceConfig) {
            $(under($prefix, vec![
                $(resource($path)$(.route(route!($method, $handler)))+.default_service(to(error::wrong_method))),+
            ], services);)+
        }
    };
}

fn under(prefix: &str, resources: Vec<Resource>, services: &mut ServiceConfig) {
    if prefix.is_empty() {
        for resource in resources {
            services.service(resource);
        }
    } else {
        services.service(scope(prefix).service(resources));
    }
}

routes! {
    in "" {
        "/orgs/new" => GET organization::new::show, POST organization::new::create;
    }
    in "/orgs/{org}" {
        "" => GET organization::home::show;
        "/leave" => GET organization::leave::confirm, POST organization::leave::leave;
        "/transfer-ownership" => GET organization::transfer_ownership::show, POST organization::transfer_ownership::transfer_ownership;
        "/delete" => GET organization::delete::show, POST organization::delete::delete;
        "/settings" => GET organization::home::settings;
        "/settings/general" => GET organization::general::show, POST organization::general::change;
        "/settings/audit" => GET organization::audit::show;
        "/settings/audit/export" => GET organization::audit::export;
        "/settings/review" => GET organization::review::show;
        "/settings/review/export" => GET organization::review::export;
        "/settings/roles" => GET team::roles::show;
        "/settings/team" => GET team::members::list;
        "/settings/team/members/{account}/role" => GET team::member::role, POST team::member::change_role;
        "/settings/team/members/{account}/remove" => GET team::member::confirm_remove, POST team::member::remove;
        "/settings/team/invite" => GET team::invite::show, POST team::invite::invite;
        "/settings/team/invite/import" => GET team::import::show, POST team::import::import;
        "/settings/team/invitations" => GET team::invitations::list;
        "/settings/team/invitations/{id}" => GET team::invitation::show;
        "/settings/team/invitations/{id}/resend" => POST team::invitation::resend;
        "/settings/team/invitations/{id}/link" => POST team::invitation::copy_link;
        "/settings/team/invitations/{id}/role" => GET team::invitation::role, POST team::invitation::change_role;
        "/settings/team/invitations/{id}/revoke" => GET team::invitation::confirm_revoke, POST team::invitation::revoke;
    }
    in "/accept-invitation/{token}" {
        "" => GET invitation::show::show;
        "/accept" => POST invitation::accept::accept;
        "/reject" => GET invitation::reject::show, POST invitation::reject::reject;
        "/sign-up" => POST invitation::sign_up::sign_up;
        "/switch-account" => POST invitation::switch_account::switch_account;
        "/ask-again" => POST invitation::ask_again::ask_again;
    }
    in "" {
        "/" => GET account::home::show;
        "/sign-up" => GET account::sign_up::show, POST account::sign_up::sign_up;
        "/sign-in" => GET account::sign_in::show, POST account::sign_in::sign_in;
        "/sign-out" => POST account::sign_out::sign_out;
        "/forgot-password" => GET account::forgot_password::show, POST account::forgot_password::ask;
        "/reset-password/{token}" => GET account::reset_password::show, POST account::reset_password::reset;
        "/verify-email/{token}" => GET account::verify_email::show, POST account::verify_email::verify;
        "/account/email" => GET account::email::show, POST account::email::change;
        "/account/verify-email" => POST account::verify_email::send;
        "/consent" => GET account::consent::show, POST account::consent::consent;
        "/legal/{document}" => GET legal::show::show;
        "/account/sessions" => GET account::sessions::list;
        "/account/sessions/sign-out-all" => POST account::sessions::sign_out_all;
        "/account/sessions/{id}/sign-out" => POST account::sessions::sign_out_one;
        "/account/notifications" => GET account::notifications::show, POST account::notifications::choose;
        "/account/delete" => GET account::delete::show, POST account::delete::delete_account;
        "/account" => GET account::profile::show;
        "/account/name" => POST account::profile::rename;
        "/account/avatar" => POST account::avatar::upload;
        "/account/avatar/remove" => POST account::avatar::remove;
        "/account/security" => GET account::security::show;
        "/account/password" => POST account::security::change_password;
        "/avatars/{id}" => GET account::avatar::show;
        "/invitations" => GET account::invitations::list;
        "/invitations/{id}/accept" => POST account::invitations::accept;
        "/invitations/{id}/reject" => GET account::invitations::confirm_reject, POST account::invitations::reject;
        "/notifications" => GET account::bell::show;
        "/notifications/read" => POST account::bell::read;
        "/livez" => GET health::livez;
        "/readyz" => GET health::readyz;
        "/favicon.ico" => GET static_files::favicon;
        "/static/{file:.*}" => GET static_files::show;
    }
}

/// Headers of every answer that does not set them itself (the content security policy among them).
pub const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    // `no-referrer` would make browsers send `Origin: null` with our own forms.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("x-robots-tag", "noindex"),
    // Pages show people and hold form tokens: the back button after signing out must ask us again.
    ("cache-control", "no-store"),
];
