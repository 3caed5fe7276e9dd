//! The deliveries of many tenants as one list.

use super::*;
use crate::domain::id::DeliveryKey;

#[test]
fn the_deliveries_of_many_tenants_come_newest_first_and_once() {
    let lab = Lab::open(tempfile::tempdir().unwrap()).unwrap();
    let tenants: Vec<Owned> = (0..TENANTS).map(|number| tenant(&format!("t{number}"))).collect();
    for owned in &tenants {
        lab.create_for(owned.clone(), "all", "*");
    }
    for number in 0..3 * TENANTS {
        lab.publish_to(&tenants[number * 7 % TENANTS], "order.paid");
    }
    let newest_first = listed(&lab.store, &tenants);
    assert_eq!(newest_first.len(), 3 * TENANTS);
    assert!(newest_first.is_sorted_by(|a, b| a > b), "each stands once, behind the newer ones");
    let some: Vec<Owned> = tenants[..TENANTS - 1].to_vec();
    assert_eq!(listed(&lab.store, &some).len(), 3 * (TENANTS - 1), "those of others are not among them");
    let folder = lab.stopped().write();
    let (again, _unstarted) = look(&folder).unwrap();
    assert_eq!(listed(&again, &tenants), newest_first);
}

#[test]
fn an_event_is_found_for_the_tenant_that_has_it() {
    let lab = Lab::open(tempfile::tempdir().unwrap()).unwrap();
    let id = lab.publish_to(&tenant("t1"), "order.paid");
    let found = |tenants: &[Owned]| lab.store.event_of_any(tenants, &id).unwrap().is_some();
    assert!(found(&[tenant("t0"), tenant("t1")]) && !found(&[tenant("t0"), tenant("t2")]));
}

#[test]
fn a_tenants_statistics_look_at_no_other_tenants_webhooks() {
    let lab = Lab::new();
    let own = lab.create_for(tenant("t1"), "own", "*");
    let looked = |of| {
        let looked = std::cell::Cell::new(0);
        let found = lab.store.numbers_where(of, |_| looked.replace(looked.get() + 1) < usize::MAX);
        (found.len(), looked.get())
    };
    assert_eq!(looked(Owners::Tenant("shop", "t1")), (1, 1));
    assert_eq!(looked(Owners::Provider("shop")), (5, 5));
    assert_eq!([Owners::Provider("other"), Owners::Tenant("shop", "t2")].map(looked), [(0, 0); 2]);
    assert_eq!(looked(Owners::All), (5, 5));
    assert!(lab.store.numbers_where(Owners::Tenant("shop", "t1"), |_| true).contains(&own));
    assert_eq!([lab.store.tally_cost(1), lab.store.tally_cost(5)], [1, 2], "most of them are read as a whole");
}

/// All of a list, in pages of four.
fn listed(store: &Store, tenants: &[Owned]) -> Vec<DeliveryKey> {
    let (of, mut found, mut before) = (Of::Tenants(tenants.to_vec()), Vec::new(), None);
    loop {
        let page = store.deliveries(&of, &Filter::default(), before, 4).unwrap();
        found.extend(page.views.iter().map(|view| view.delivery.key));
        let Some(next) = page.next else { return found };
        before = Some(next);
    }
}

fn tenant(name: &str) -> Owned {
    Owned { provider: "shop".into(), tenant: name.into() }
}

/// More than are looked for one by one.
const TENANTS: usize = 9;
