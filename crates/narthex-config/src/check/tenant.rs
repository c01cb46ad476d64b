//! `tenants:`.

use super::{Check, Names};
use crate::grammar::{self, Name};
use crate::model::{RouteId, Tenant, TenantId};
use crate::yaml::{Field, Named};
use std::collections::{BTreeMap, BTreeSet};

impl Check<'_> {
    pub(super) fn tenants(
        &self,
        field: Field<Named<Name, grammar::Tenant>>,
        names: &Names,
    ) -> BTreeMap<TenantId, Tenant> {
        let entries = field.into_value().unwrap_or_default().0;
        let checked = entries.iter().filter_map(|entry| {
            let tenant = entry.value.get()?;
            let routes = self.granted(&tenant.routes, names);
            let limits = self.limits(&tenant.limits);
            Some((TenantId::from(entry.key.0.as_str()), Tenant { routes, limits, expose: BTreeMap::new() }))
        });
        checked.collect()
    }

    fn granted(&self, field: &Field<Vec<Field<Name>>>, names: &Names) -> BTreeSet<RouteId> {
        let listed = field.get().into_iter().flatten();
        let listed = listed.filter_map(|route| Some((route.span()?, route.get()?)));
        let known = listed.filter(|(at, name)| self.refers("route", name, *at, &names.routes));
        known.map(|(_, name)| RouteId::from(name.0.as_str())).collect()
    }
}
