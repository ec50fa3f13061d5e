// Shows the document that the service makes of its own routes.
SwaggerUIBundle({
  url: "/docs",
  dom_id: "#page",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  validatorUrl: null,
});
