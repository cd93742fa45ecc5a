// What `import '@portacode/ntp-clock/otel/register'` has: nothing to name, only its effect.
export {};
