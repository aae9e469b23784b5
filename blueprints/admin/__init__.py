"""The operator's pages, rendered on the server: ``/admin``.

Each page is a module that adds its own routes; ``access`` decides who may see them.
"""

from flask import Blueprint, Flask

from blueprints.admin import (
    activity,
    carriers,
    doctor,
    error_pages,
    failed_jobs,
    formats,
    message_templates,
    opt_outs,
    quarantine,
    rules,
    start,
    unrouted,
)
from blueprints.admin.access import Guard
from blueprints.admin.bulk_sends import BulkSendPages
from blueprints.admin.contacts import ContactPages
from blueprints.admin.devices import DevicePages
from blueprints.admin.message import MessagePage
from blueprints.admin.messages import MessagePages
from blueprints.admin.page import MENU, Pages
from blueprints.admin.people import PeoplePages
from blueprints.admin.session import SignIns
from blueprints.admin.settings import SettingsPages
from blueprints.admin_access import AdminAccess
from blueprints.headers import page_headers
from services.gateway import Gateway


def register(app: Flask, gateway: Gateway) -> None:
    """Add the operator's pages."""
    environment, service = gateway.environment, gateway.environment.service
    routes = Blueprint(
        "admin",
        __name__,
        url_prefix="/admin",
        template_folder="templates",
        static_folder="static",
    )
    sign_ins = SignIns(gateway.store, environment.app_key, service.admin_password)
    off = set() if gateway.bulk_sending.is_on else {"admin.bulk_sends"}
    menu = [entry for entry in MENU if entry.endpoint not in off]
    pages = Pages(sign_ins, service.app_name, menu)
    formats.add_filters(routes, gateway.local_time, gateway.settings)
    access = AdminAccess(gateway.admin_auth, service, gateway.proxies)
    Guard(access, sign_ins, pages, environment.app_url).add_to(routes)
    error_pages.add_handlers(routes, pages)
    _add_pages(routes, pages, gateway)
    # Browsers send the Origin of a form only where the Referrer-Policy allows it.
    headers = page_headers(own=("form-action",), cache="no-store", referrer="same-origin")
    routes.after_request(headers)
    app.register_blueprint(routes)


def _add_pages(routes: Blueprint, pages: Pages, gateway: Gateway) -> None:
    store, settings, providers = gateway.store, gateway.settings, gateway.providers
    actions, media = gateway.operator_actions, gateway.media
    environment, service = gateway.environment, gateway.environment.service
    has_public_address = service.app_url is not None
    start.add_routes(
        routes,
        pages,
        store,
        providers,
        gateway.health,
        gateway.setup_checklist,
        gateway.carrier_status,
        service.storage_path.resolve(),
    )
    doctor.add_routes(routes, pages, store, gateway.doctor)
    MessagePages(
        pages, store, settings, providers, media, gateway.message_query, gateway.local_time
    ).add_to(routes)
    MessagePage(
        pages,
        store,
        settings,
        media,
        actions,
        gateway.opt_outs,
        gateway.scheduling,
        gateway.why,
    ).add_to(routes)
    failed_jobs.add_routes(routes, pages, store, settings, actions)
    if gateway.bulk_sending.is_on:
        BulkSendPages(pages, store, gateway.bulk_sending, gateway.local_time).add_to(routes)
    ContactPages(pages, gateway.contact_book).add_to(routes)
    PeoplePages(pages, store, settings, gateway.directory, gateway.channels).add_to(routes)
    opt_outs.add_routes(routes, pages, store, gateway.opt_out_register)
    unrouted.add_routes(routes, pages, store, settings, actions)
    quarantine.add_routes(routes, pages, store, gateway.replay, actions)
    SettingsPages(pages, settings, providers).add_to(routes)
    rules.add_routes(routes, pages, settings, gateway.rule_trial, gateway.rule_warnings)
    message_templates.add_routes(routes, pages, settings)
    carriers.add_routes(
        routes,
        pages,
        gateway.carrier_status,
        providers,
        has_public_address=has_public_address,
    )
    DevicePages(
        pages,
        store,
        settings,
        gateway.access,
        gateway.channels,
        gateway.push_delivery,
        environment.app_url,
        has_public_address=has_public_address,
    ).add_to(routes)
    activity.add_routes(routes, pages, store, gateway.local_time)
