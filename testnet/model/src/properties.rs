//! What must hold in every state, and what must happen in some, so that nothing holds only because
//! nothing happens.

use crate::book::{Account, Case, Standing};
use crate::cast::{Author, Entry, Payee};
use crate::rule::Request;
use crate::world::{Bank, Gateway, Lost, Phase, World};
use stateright::Property;

/// I3: no grant settles above limit and guarantee.
pub const SOLVENCY: &str = "I3: no grant settles above limit and guarantee";
/// I4: every currency sums to zero.
pub const CONSERVATION: &str = "I4: every currency sums to zero";
/// I5: each entry posts at most once.
pub const EXACTLY_ONCE: &str = "I5: an entry moves its amount once, or nothing";
/// No account that holds somebody's money is overdrawn.
pub const COVERED: &str = "no account that holds money is overdrawn";
/// Who is owed by an honest author, or below the contradiction, and came in time, is paid.
pub const OWED_IS_PAID: &str = "what is owed and came in time is settled at once";
/// The guarantee pays after claim-until only.
pub const DRAWN_LATE: &str = "the guarantee pays nobody before claims are over";
/// Nothing of a contested reserve returns before the review closes.
pub const NOTHING_RETURNS: &str = "nothing returns to the payer before claims or a review are over";
/// A final outcome is never replaced.
pub const STANDS: &str = "a final outcome stands for ever";
/// No answer leaves before what it says is durable.
pub const DURABLE_FIRST: &str = "what is answered is durable";
/// When claims and review are over, everybody knows what became of an entry, and no money waits.
pub const ALL_DECIDED: &str = "nothing is left open when claims and review are over";

/// All properties.
pub fn all() -> Vec<Property<Bank>> {
    let mut all = laws();
    all.extend(cases());
    // What `Draw` takes for granted; no law of the bank.
    all.push(Property::always("at most two entries are contested", |_, world: &World| {
        contested(world).len() <= 2
    }));
    all
}

/// What must hold in every state.
pub fn laws() -> Vec<Property<Bank>> {
    vec![
        Property::always(SOLVENCY, |_, world: &World| {
            Author::ALL
                .into_iter()
                .all(|author| moved(world, author) <= author.limit() + author.guarantee())
        }),
        Property::always(CONSERVATION, |_, world: &World| {
            let balance = |currency| {
                Account::ALL.into_iter().map(move |it| world.book.balance(currency, it)).sum::<i8>()
            };
            Author::ALL.into_iter().all(|currency| balance(currency) == 0)
        }),
        Property::always(EXACTLY_ONCE, |_, world: &World| {
            let once = |entry: Entry| [0, entry.amount()].contains(&world.book.moved(entry));
            Entry::ALL.into_iter().all(once)
        }),
        Property::always(COVERED, |_, world: &World| {
            Author::ALL.into_iter().all(|currency| {
                let overdrawn = |it: &Account| world.book.balance(currency, *it) < 0;
                !Account::ALL.iter().filter(|it| it.holds_money()).any(overdrawn)
            })
        }),
        Property::always(OWED_IS_PAID, |_, world: &World| {
            let owed = Entry::ALL.into_iter().filter(|entry| entry.is_owed());
            owed.map(|entry| world.book.standing(entry)).all(|standing| match standing {
                Standing::Absent | Standing::Settled => true,
                Standing::Late => world.gateways.iter().any(|it| it.late),
                Standing::Contested | Standing::Provisional { .. } | Standing::Uncovered => false,
            })
        }),
        Property::always(DRAWN_LATE, |_, world: &World| {
            Author::ALL.into_iter().all(|author| {
                let drawn = world.book.balance(author, Account::Receivable) != 0;
                world.book.claims_ended(author) || !drawn
            })
        }),
        Property::always(NOTHING_RETURNS, |_, world: &World| {
            Author::ALL.into_iter().all(|author| {
                let held = world.book.balance(author, Account::Payer) == 0;
                held || is_over(world, author)
            })
        }),
        Property::always(STANDS, |_, world: &World| !world.book.overturned()),
        Property::always(DURABLE_FIRST, |_, world: &World| {
            world.gateways.iter().all(|gateway| match gateway.phase {
                Phase::Answering { entry, answer, .. } => {
                    let standing = world.book.standing(entry);
                    standing != Standing::Absent && (standing == answer || !answer.is_final())
                }
                _ => true,
            })
        }),
        Property::always(ALL_DECIDED, |_, world: &World| {
            Author::ALL.into_iter().filter(|author| is_over(world, *author)).all(|author| {
                let open = |it: Standing| it != Standing::Absent && !it.is_final();
                let waits = [
                    Account::Reserve,
                    Account::Pending(Payee::First),
                    Account::Pending(Payee::Second),
                ];
                world.book.standing_so(author, open).is_empty()
                    && waits.iter().all(|it| world.book.balance(author, *it) == 0)
            })
        }),
    ]
}

/// What must happen in some state.
pub fn cases() -> Vec<Property<Bank>> {
    use Entry::{Below, Honest, Part, Rest, Whole};
    vec![
        Property::sometimes(
            "an entry settles while the one before it is missing",
            |_, world: &World| {
                is(world, Rest, Standing::Settled) && is(world, Part, Standing::Absent)
            },
        ),
        Property::sometimes(
            "one entry is at both gateways and durable at none",
            |_, world: &World| {
                let both = world.gateways.each_ref().map(holds);
                both[0].is_some() && both[0] == both[1]
            },
        ),
        Property::sometimes(
            "the two branches are at the two gateways at once",
            |_, world: &World| world.gateways.each_ref().map(holds) == [Some(Whole), Some(Part)],
        ),
        Property::sometimes("a gateway is overtaken", |_, world: &World| {
            world.gateways.iter().any(|it| it.phase == Phase::Overtaken)
        }),
        Property::sometimes(
            "what a crash lost settles at the other gateway",
            |_, world: &World| {
                world.gateways.iter().any(|it| match it.phase {
                    Phase::Down { lost: Lost::Intake(lost) } => is(world, lost, Standing::Settled),
                    _ => false,
                })
            },
        ),
        Property::sometimes(
            "an answer lost in a crash is repeated from the record",
            |_, world: &World| {
                world.gateways.iter().any(|it| match it.phase {
                    Phase::Down { lost: Lost::Answer(lost) } => {
                        let repeats = |it: &Gateway| {
                            matches!(it.phase,
                            Phase::Answering { entry, repeated: true, .. } if entry == lost)
                        };
                        world.gateways.iter().any(repeats)
                    }
                    _ => false,
                })
            },
        ),
        Property::sometimes(
            "claims are over at one gateway and go on at the other",
            |_, world: &World| world.gateways[0].late && !world.gateways[1].late && ended(world),
        ),
        Property::sometimes(
            "the whole branch is paid and the other contested",
            |_, world: &World| {
                is(world, Whole, Standing::Settled) && contested(world) == [Part, Rest]
            },
        ),
        Property::sometimes(
            "the other branch is paid and the whole one contested",
            |_, world: &World| {
                let paid = is(world, Part, Standing::Settled) && is(world, Rest, Standing::Settled);
                paid && contested(world) == [Whole]
            },
        ),
        Property::sometimes(
            "what is below is paid out of what was set aside for it",
            |_, world: &World| {
                let contested = contested(world) == [Part] || contested(world) == [Whole];
                contested && is(world, Below, Standing::Settled) && !ended(world)
            },
        ),
        Property::sometimes(
            "limit and guarantee are paid out to the last unit",
            |_, world: &World| {
                let author = Author::Equivocator;
                moved(world, author) == author.limit() + author.guarantee()
            },
        ),
        Property::sometimes("the draw pays the first and leaves the second", |_, world: &World| {
            is(world, Rest, Standing::Uncovered)
                && is(world, Part, Standing::Provisional { from_guarantee: 2 })
        }),
        Property::sometimes("the draw pays the second and leaves the first", |_, world: &World| {
            is(world, Part, Standing::Uncovered)
                && is(world, Rest, Standing::Provisional { from_guarantee: 1 })
        }),
        Property::sometimes("an entry comes too late", |_, world: &World| {
            is(world, Honest, Standing::Late)
        }),
        Property::sometimes(
            "a contradiction that came too late opens a case only",
            |_, world: &World| {
                let author = Author::Equivocator;
                world.book.case(author) != Case::None && world.book.lowest(author).is_none()
            },
        ),
        Property::sometimes("a review closes for a payee", |_, world: &World| {
            let settled = is(world, Whole, Standing::Settled) && is(world, Rest, Standing::Settled);
            settled && closed(world)
        }),
        Property::sometimes("a review closes against a payee", |_, world: &World| {
            let taken_back = is(world, Part, Standing::Uncovered)
                && is(world, Rest, Standing::Uncovered)
                && world.book.balance(Author::Equivocator, Account::Payer) > 0;
            taken_back && closed(world)
        }),
        Property::sometimes("a payer gets back what nobody claimed", |_, world: &World| {
            world.book.balance(Author::Honest, Account::Payer) == Author::Honest.limit()
        }),
    ]
}

fn is(world: &World, entry: Entry, standing: Standing) -> bool {
    world.book.standing(entry) == standing
}

/// What was paid under an author's grant, guarantee included.
fn moved(world: &World, author: Author) -> i8 {
    author.entries().map(|entry| world.book.moved(entry)).sum()
}

fn contested(world: &World) -> Vec<Entry> {
    world.book.standing_so(Author::Equivocator, |it| it == Standing::Contested)
}

fn ended(world: &World) -> bool {
    world.book.claims_ended(Author::Equivocator)
}

fn closed(world: &World) -> bool {
    world.book.case(Author::Equivocator) == Case::Closed
}

/// Whether an author's claims are over and no review of what came in time goes on.
fn is_over(world: &World, author: Author) -> bool {
    let reviewed = world.book.lowest(author).is_none() || world.book.case(author) == Case::Closed;
    world.book.claims_ended(author) && reviewed
}

/// The entry that a gateway has taken in and that is not durable.
fn holds(gateway: &Gateway) -> Option<Entry> {
    match gateway.phase {
        Phase::Holding { request: Request::Submit(entry), .. } => Some(entry),
        _ => None,
    }
}
