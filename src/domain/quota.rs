//! How often something may happen: the named limits of mail and of sign-in.

use time::Duration;

/// A counter: so many uses of one subject in one window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// What is counted; the stored word.
    pub scope: &'static str,
    /// How many uses a window allows.
    pub limit: u32,
    /// The length of a window. Windows start at multiples of it, counted from 1970: a day starts at midnight UTC.
    pub window: Duration,
}

/// No quota has a longer window than this.
pub const LONGEST_WINDOW: Duration = Duration::days(1);

/// Failed or unfinished sign-ins of one address from one client (OWASP Authentication: throttle, do not lock out).
pub const SIGN_IN_HERE: Quota = Quota {
    scope: "sign_in_here",
    limit: 10,
    window: Duration::minutes(15),
};

/// Failed or unfinished sign-ins of one address from anywhere: what a distributed guesser gets.
pub const SIGN_IN_ANYWHERE: Quota = Quota {
    scope: "sign_in_anywhere",
    limit: 100,
    window: Duration::minutes(15),
};

/// Failed or unfinished sign-ins of one client over all addresses: what a password sprayer gets. A success is given
/// back, so that many people behind one address do not lock each other out.
pub const SIGN_IN_CLIENT: Quota = Quota {
    scope: "sign_in_client",
    limit: 200,
    window: Duration::minutes(15),
};

/// Sign-up attempts of one client. Bounds how many addresses it can probe for accounts, and how many it can make up.
pub const SIGN_UP_CLIENT: Quota = Quota {
    scope: "sign_up_client",
    limit: 1000,
    window: Duration::hours(1),
};

/// Requests for a new password for one address from one client.
pub const FORGOT_HERE: Quota = Quota {
    scope: "forgot_here",
    limit: 5,
    window: Duration::hours(1),
};

/// Requests for a new password for one address from anywhere: what a mailbox has to bear.
pub const FORGOT_ANYWHERE: Quota = Quota {
    scope: "forgot_anywhere",
    limit: 20,
    window: Duration::days(1),
};

/// Organizations one person founds. Bounds how many names of addresses they can take.
pub const FOUND_PERSON: Quota = Quota {
    scope: "found_person",
    limit: 20,
    window: Duration::days(1),
};

/// Requests for a new password of one client over all addresses.
pub const FORGOT_CLIENT: Quota = Quota {
    scope: "forgot_client",
    limit: 100,
    window: Duration::hours(1),
};

/// Letters that ask to confirm an address, one account's, after the one of signing up (R-ORG-4).
pub const VERIFY_PERSON: Quota = Quota {
    scope: "verify_person",
    limit: 10,
    window: Duration::days(1),
};

/// Letters that ask to confirm one address, whichever accounts want it.
pub const VERIFY_ADDRESS: Quota = Quota {
    scope: "verify_address",
    limit: 10,
    window: Duration::days(1),
};

/// One letter that asks for a proof of a mailbox per account, purpose and address in this time.
pub const PROOF_COOLDOWN: Duration = Duration::seconds(60);

/// *Ask for a new invitation* tells the inviter at most once in this time, per invitation (R-ACC-7).
pub const ASK_AGAIN_EVERY: Duration = Duration::days(1);

/// The limits on invitation mail that an operator can set (R-INV-8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MailLimits {
    /// One mail per organization and address in this time.
    pub cooldown: Duration,
    /// Mails a day per address and organization.
    pub per_address: u32,
    /// Mails a day per inviting person, over all organizations.
    pub per_person: u32,
    /// Mails a day per organization.
    pub per_organization: u32,
}

impl Default for MailLimits {
    fn default() -> Self {
        Self {
            cooldown: Duration::seconds(60),
            per_address: 10,
            per_person: 200,
            per_organization: 500,
        }
    }
}

impl MailLimits {
    /// The daily quota of one address in one organization.
    pub const fn address(self) -> Quota {
        Quota {
            scope: "mail_address",
            limit: self.per_address,
            window: Duration::days(1),
        }
    }

    /// The daily quota of one person.
    pub const fn person(self) -> Quota {
        Quota {
            scope: "mail_person",
            limit: self.per_person,
            window: Duration::days(1),
        }
    }

    /// The daily quota of one organization.
    pub const fn organization(self) -> Quota {
        Quota {
            scope: "mail_organization",
            limit: self.per_organization,
            window: Duration::days(1),
        }
    }
}
