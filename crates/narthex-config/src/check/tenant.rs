//! `tenants:`.

use super::{Check, Names};
use crate::grammar::{self, Name};
use crate::model::{RouteId, Shown, Tenant, TenantId};
use crate::yaml::{Field, Named};
use std::collections::{BTreeMap, BTreeSet};

impl Check<'_> {
    pub(super) fn tenants(
        &self,
        field: &Field<Named<Name, grammar::Tenant>>,
        names: &Names,
    ) -> BTreeMap<TenantId, Tenant> {
        let entries = field.get().into_iter().flat_map(|tenants| &tenants.0);
        let checked = entries.filter_map(|entry| {
            let tenant = entry.value.get()?;
            let routes = self.granted(&tenant.routes, names);
            let limits = self.limits(&tenant.limits);
            let expose = self.exposed(&tenant.expose, &routes, names);
            Some((TenantId::from(entry.key.0.as_str()), Tenant { routes, limits, expose }))
        });
        checked.collect()
    }

    fn exposed(
        &self,
        field: &Field<Named<Name, grammar::Shown>>,
        granted: &BTreeSet<RouteId>,
        names: &Names,
    ) -> BTreeMap<RouteId, Shown> {
        let mut exposed = BTreeMap::new();
        for entry in field.get().into_iter().flat_map(|exposed| &exposed.0) {
            if !self.refers("route", &entry.key, entry.at, &names.routes) {
                continue;
            }
            let id = RouteId::from(entry.key.0.as_str());
            if !granted.contains(&id) {
                let message = format!("route `{id}` is not granted to this tenant");
                self.report.error_with_help(entry.at, message, "add it to `routes` of the tenant");
            }
            if let Some(shown) = entry.value.get() {
                exposed.insert(id, self.shown(shown));
            }
        }
        exposed
    }

    fn granted(&self, field: &Field<Vec<Field<Name>>>, names: &Names) -> BTreeSet<RouteId> {
        let listed = field.get().into_iter().flatten();
        let listed = listed.filter_map(|route| Some((route.span()?, route.get()?)));
        let known = listed.filter(|(at, name)| self.refers("route", name, *at, &names.routes));
        known.map(|(_, name)| RouteId::from(name.0.as_str())).collect()
    }
}
