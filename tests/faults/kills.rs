//! kill -9 at random moments, while people work and the mail server is in a bad mood: nothing that was acknowledged is
//! lost, nothing is half done, no letter is doubled (I8, I9).

use crate::{
    crowd::Crowd,
    on_both,
    profile::{Dice, Rounds, report},
    stage::Stage,
    support::database::Kind,
};

/// Kills before a new database is taken.
const KILLS: usize = 7;

on_both! {
    /// One instance: killed, started again, and so on.
    fn what_was_acknowledged_survives_kills(kind) {
        kills(kind, 1);
    }

    /// Two instances on one database: one of them is killed, or both.
    fn what_was_acknowledged_survives_kills_of_two_instances(kind) {
        kills(kind, 2);
    }
}

fn kills(kind: Kind, instances: usize) {
    let mut rounds = Rounds::new(1);
    while rounds.again() {
        let mut dice = Dice::new();
        let stage = Stage::new(kind, instances);
        let address = stage.address(&mut dice).expect("one runs");
        let crowd = Crowd::new(&stage, &stage.olivia(address), 5);
        stage.bad_mood(dice.fork());
        for _ in 0..KILLS {
            crowd.work(&mut dice, |dice| {
                crowd.wait_for(5 + dice.below(20));
                std::thread::sleep(dice.moment(300));
                let first = dice.below(instances);
                stage.kill(first);
                if dice.one_in(2) {
                    (0..instances).for_each(|nth| stage.kill(nth));
                }
                std::thread::sleep(dice.moment(100));
            });
            stage.hurry();
            stage.start_all();
            crowd.settle();
            crowd.look(&mut dice);
        }
        let letters = stage.letters_end();
        stage.end();
        report(&format!(
            "{kind:?}, {instances} instance(s): {KILLS} kills, {}",
            crowd.tally.line(letters)
        ));
    }
}
