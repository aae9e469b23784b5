// Starts Swagger UI with the OpenAPI document of this server, and with nothing from the address.

window.ui = SwaggerUIBundle({
  dom_id: "#api",
  url: "/api/v1/openapi.json",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  persistAuthorization: false, // a token stays in no browser
  queryConfigEnabled: false,
  validatorUrl: null, // no other server is asked
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
