//! Two instances on one database, killed and replaced in turn, while a dozen clients work, two Owners push each other out
//! and the mail server misbehaves. Then all is quiet, and everything must be in order.

use crate::{
    crowd::{Crowd, attempt, member_url},
    on_both,
    profile::{Dice, Rounds, report},
    stage::Stage,
    support::{database::Kind, facts, mailing::until, people::Person, team::link_in},
};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// How long it goes wild before it is looked at.
const WILD: Duration = Duration::from_secs(4);
const CLIENTS: usize = 8;
const ACME: &str = "o.slug = 'acme'";

on_both! {
    /// I1 to I12, after everything at once.
    fn after_the_chaos_everything_is_in_order(kind) {
        let mut rounds = Rounds::new(1);
        while rounds.again() {
            chaos(kind);
        }
    }
}

fn chaos(kind: Kind) {
    let mut dice = Dice::new();
    let stage = Stage::new(kind, 2);
    let address = stage.address(&mut dice).expect("one runs");
    let duel = Duel::new(&stage, address);
    let crowd = Crowd::new(&stage, &duel.adam, CLIENTS);
    stage.bad_mood(dice.fork());
    let (mut kills, mut forced) = (0, 0);
    crowd.work(&mut dice, |dice| {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (mut theirs, stop_them, duel) = (dice.fork(), &stop, &duel);
            let duelling = scope.spawn(move || {
                while !stop_them.load(Relaxed) {
                    duel.round(&mut theirs);
                }
            });
            let start = Instant::now();
            while start.elapsed() < WILD && !duelling.is_finished() {
                std::thread::sleep(dice.moment(400));
                match dice.below(5) {
                    0 | 1 => forced += stage.hurry(),
                    2 => {
                        stage.mail.down();
                        stage.mail.up();
                    }
                    _ => {
                        stage.replace(dice.below(2));
                        kills += 1;
                    }
                }
            }
            stop.store(true, Relaxed);
        });
        crowd.wait_for(1);
    });
    crowd.settle();
    crowd.look(&mut dice);
    let letters = stage.letters_end();
    assert!(owners(&stage) >= 1, "I2");
    stage.end();
    report(&format!(
        "{kind:?}, chaos: {kills} kills, {forced} letters hurried, {} duels; {}",
        duel.fought.load(Relaxed),
        crowd.tally.line(letters)
    ));
}

fn owners(stage: &Stage) -> i64 {
    let query = format!(
        "SELECT count(*) AS count FROM memberships m JOIN organizations o ON o.id = m.organization_id \
         WHERE {ACME} AND m.role = 'owner'"
    );
    facts::count(&stage.db(), &query)
}

/// Olivia and Mia own Acme and keep demoting each other and leaving, at two instances at once. Adam helps them back.
struct Duel<'s> {
    stage: &'s Stage,
    olivia: Person,
    mia: Person,
    adam: Person,
    fought: AtomicUsize,
}

const OLIVIA: &str = "olivia@example.test";
const MIA: &str = "mia@example.test";

impl<'s> Duel<'s> {
    fn new(stage: &'s Stage, address: SocketAddr) -> Self {
        let olivia = stage.olivia(address);
        let join = |name: &str, email: &str| {
            olivia.invite(email, "admin");
            until("the letter is there", || {
                stage.mail.last_to(email).is_some()
            });
            let letter = stage.mail.last_to(email).expect("a letter");
            Person::new(address).join(&link_in(&letter.text()), name)
        };
        let (adam, mia) = (
            join("Adam Admin", "adam@example.test"),
            join("Mia Member", MIA),
        );
        Self {
            stage,
            olivia,
            mia,
            adam,
            fought: AtomicUsize::new(0),
        }
    }

    /// Both are made Owners again, and then both click at once. Whatever is cut off is tried again the next time.
    fn round(&self, dice: &mut Dice) {
        let pair = [
            (&self.olivia, OLIVIA, &self.mia),
            (&self.mia, MIA, &self.olivia),
        ];
        for (who, email, other) in pair {
            let Some(address) = self.stage.address(dice) else {
                return;
            };
            let back = || {
                self.bring_back(
                    &who.at(address),
                    email,
                    &other.at(address),
                    &self.adam.at(address),
                )
            };
            if attempt(back) != Some(true) {
                assert!(owners(self.stage) >= 1, "I2: nobody owns Acme");
                return;
            }
        }
        std::thread::scope(|scope| {
            for (who, _, _) in pair {
                let (Some(address), leaves) = (self.stage.address(dice), dice.one_in(3)) else {
                    return;
                };
                let victim = if std::ptr::eq(who, &self.olivia) {
                    MIA
                } else {
                    OLIVIA
                };
                scope.spawn(move || attempt(|| attack(&who.at(address), victim, leaves)));
            }
        });
        self.fought.fetch_add(1, Relaxed);
        assert!(owners(self.stage) >= 1, "I2: nobody owns Acme");
    }

    /// Whether this person is an Owner now, after a push if necessary.
    fn bring_back(&self, who: &Person, email: &str, other: &Person, adam: &Person) -> bool {
        if !who.is_signed_in() {
            return false;
        }
        if who.get("/orgs/acme").status == 404 {
            adam.try_invite_with(email, "admin", &[("link_only", "yes")]);
            return who.accept(&link_in(&adam.copy_link(email))).status == 303;
        }
        if who.get("/orgs/acme/transfer-ownership").status == 200 {
            return true;
        }
        let url = member_url(adam, email).expect("a member");
        let fields = [("before", "admin"), ("role", "owner")];
        other
            .get("/")
            .submit(&format!("{url}/role"), &fields)
            .status
            == 303
    }
}

/// Demotes the other one, or leaves.
fn attack(who: &Person, victim: &str, leaves: bool) {
    let home = who.get("/orgs/acme");
    if leaves {
        home.submit("/orgs/acme/leave", &[]);
    } else if let Some(url) = member_url(who, victim) {
        home.submit(
            &format!("{url}/role"),
            &[("before", "owner"), ("role", "admin")],
        );
    }
}
