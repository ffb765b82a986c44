import java.net.InetSocketAddress;
import java.util.Timer;
import java.util.TimerTask;
import org.eclipse.californium.core.CoapClient;
import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapResponse;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.CoAP.Type;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.server.resources.CoapExchange;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.cipher.CipherSuite;
import org.eclipse.californium.scandium.dtls.pskstore.AdvancedSinglePskStore;

/**
 * A device on Californium that takes downlinks and can be observed. Arguments: port; with the URI of an uplink, an identity and a
 * key, it makes a DTLS session to there, sends an uplink, and takes requests over that session. Resources as in
 * aiocoap_device.py; a POST to "end" ends the session without an answer.
 */
public class Observed {
    static class Changing extends CoapResource {
        private int count;
        private final int size;

        Changing(String name, long every, int size, int last) {
            super(name);
            this.size = size;
            setObservable(true);
            setObserveType(Type.CON);
            new Timer(true).schedule(new TimerTask() {
                public void run() {
                    count++;
                    if (count == last)
                        clearAndNotifyObserveRelations(ResponseCode.NOT_FOUND);
                    else
                        changed();
                }
            }, every, every);
        }

        public void handleGET(CoapExchange exchange) {
            byte[] number = (count + " ").getBytes();
            byte[] body = java.util.Arrays.copyOf(number, number.length + size);
            exchange.respond(ResponseCode.CONTENT, body);
        }
    }

    private static DTLSConnector connector(Configuration configuration, String[] arguments) {
        DtlsConnectorConfig.Builder dtls = DtlsConnectorConfig.builder(configuration);
        dtls.setAdvancedPskStore(new AdvancedSinglePskStore(arguments[2], arguments[3].getBytes()));
        dtls.setAsList(DtlsConfig.DTLS_CIPHER_SUITES, CipherSuite.TLS_PSK_WITH_AES_128_CCM_8);
        dtls.setAddress(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])));
        return new DTLSConnector(dtls.build());
    }

    public static void main(String[] arguments) throws Exception {
        CoapConfig.register();
        DtlsConfig.register();
        Configuration configuration = Configuration.createStandardWithoutFile();
        CoapServer server = new CoapServer(configuration);
        CoapEndpoint.Builder builder = CoapEndpoint.builder().setConfiguration(configuration);
        DTLSConnector connector = arguments.length > 1 ? connector(configuration, arguments) : null;
        if (connector == null)
            builder.setInetSocketAddress(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])));
        else
            builder.setConnector(connector);
        CoapEndpoint endpoint = builder.build();
        server.addEndpoint(endpoint);
        server.add(new CoapResource("downlink") {
            public void handlePOST(CoapExchange exchange) {
                byte[] got = exchange.getRequestPayload();
                byte[] reversed = new byte[got.length];
                for (int i = 0; i < got.length; i++)
                    reversed[i] = got[got.length - 1 - i];
                exchange.respond(ResponseCode.CHANGED, reversed, 42);
            }
        });
        server.add(new CoapResource("silent") {
            public void handlePOST(CoapExchange exchange) {
                exchange.accept();
            }
        });
        server.add(new CoapResource("end") {
            public void handlePOST(CoapExchange exchange) {
                connector.close(new InetSocketAddress(exchange.getSourceAddress(), exchange.getSourcePort()));
            }
        });
        server.add(new Changing("clock", 200, 0, -1), new Changing("large", 1000, 3000, -1), new Changing("short", 500, 0, 3));
        server.start();
        if (connector != null) {
            CoapResponse answer = new CoapClient(arguments[1]).setEndpoint(endpoint).post("{\"t\": 1}", 50);
            if (answer == null || !answer.isSuccess())
                throw new IllegalStateException("no session, or no uplink: " + answer);
        }
        System.out.println("ready");
    }
}
