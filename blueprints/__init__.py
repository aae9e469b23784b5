"""Flask blueprints: every route and command of Textbridge."""
