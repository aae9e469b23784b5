"""The sandbox: a carrier that exists on this machine only."""

from services.providers.sandbox.provider import Sandbox as Sandbox
