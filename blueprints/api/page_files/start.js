// Starts Swagger UI with the OpenAPI document of this server, and with nothing from the address.

// Swagger UI has its own dark colours, under this class; the browser or the system chooses.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

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
